"""The world behind the journal: asked once, replayed ever after, and left in order."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from workshop import Server, an_api, journaled, settings_for

from toolbench.errors import LakeError
from toolbench.lake import Lake, Spec, Usage
from toolbench.records import Reply
from toolbench.settings import Settings
from toolbench.world import World, chat_identity

HELLO = [{"role": "user", "content": "Hello"}]
SPEC = Spec(stage="test", label="", partition={}, records=[], content="", params={})


def chatted(lake: Lake, settings: Settings, *asked: tuple[str, int]) -> tuple[list[Reply], Usage]:
    async def main() -> tuple[list[Reply], Usage]:
        async with World(lake, SPEC, settings) as world:
            replies = [await world.chat(record, HELLO, seed=seed) for record, seed in asked]
            return replies, world.usage

    return asyncio.run(main())


def test_an_answer_is_paid_for_once_and_counted_each_time(lake: Lake, start_teacher: Callable[..., Server]) -> None:
    server = start_teacher()
    settings = settings_for(lake, server.url, teacher={"prices": {"offline-teacher": (1.0, 2.0)}})
    replies, usage = chatted(lake, settings, ("a", 1), ("a", 1), ("b", 1), ("a", 2))
    assert server.asked() == 4
    again, usage_again = chatted(lake, settings, ("a", 1), ("a", 1), ("b", 1), ("a", 2))
    assert (again, usage_again) == (replies, usage)
    assert server.asked() == 4
    chatted(lake, settings, ("a", 1), ("a", 1), ("a", 1))
    assert server.asked() == 5
    assert usage.calls == 4
    assert usage.cost == pytest.approx(sum(r.cost for r in replies))
    assert usage.cost > 0


def test_an_api_is_asked_once_and_a_changed_api_anew(lake: Lake) -> None:
    api = an_api("Sky", "Forecast")
    settings = settings_for(lake, "http://127.0.0.1:9")

    async def called(*apis: Any) -> None:
        async with World(lake, SPEC, settings, apis=True) as world:
            answers = [await world.call("r", a, '{"city": "Oslo"}') for a in apis]
            assert {a.source for a in answers} == {"simulated"}

    asyncio.run(called(api))
    asyncio.run(called(api))
    assert len(journaled(lake, SPEC, "api")) == 1
    asyncio.run(called(an_api("Sky", "Forecast", digest="other")))
    assert len(journaled(lake, SPEC, "api")) == 2


def test_a_shard_without_apis_cannot_call_one(lake: Lake) -> None:
    async def main() -> None:
        async with World(lake, SPEC, settings_for(lake, "http://127.0.0.1:9")) as world:
            await world.call("r", an_api("Sky", "Forecast"), "{}")

    with pytest.raises(RuntimeError, match="without APIs"):
        asyncio.run(main())


def test_a_damaged_journal_leaves_no_connection_open(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.store.write(f"journals/{SPEC.digest}/x.parquet", b"no parquet")
    closed: list[str] = []
    for name in ("toolbench.world.Teacher", "toolbench.world.Chain"):
        monkeypatch.setattr(f"{name}.__aexit__", _noting(name, closed))

    async def main() -> None:
        async with World(lake, SPEC, settings_for(lake, "http://127.0.0.1:9"), apis=True):
            raise AssertionError("entered")

    with pytest.raises(LakeError, match="is damaged"):
        asyncio.run(main())
    assert closed == ["toolbench.world.Chain", "toolbench.world.Teacher"]


def _noting(name: str, closed: list[str]) -> Any:
    async def leave(self: Any, *failure: object) -> None:
        closed.append(name)

    return leave


def test_what_decides_replies_is_in_their_identity(lake: Lake) -> None:
    settings = settings_for(lake, "http://127.0.0.1:9")
    base = chat_identity(settings)
    for change in ({"model": "m"}, {"temperature": 0.5}, {"max_output_tokens": 99}):
        assert chat_identity(settings.with_(teacher=change)) != base
    for same in (
        {"base_url": "http://elsewhere/v1"},
        {"max_concurrency": 1},
        {"prices": {"offline-teacher": (1.0, 1.0)}},
    ):
        assert chat_identity(settings.with_(teacher=same)) == base
    assert chat_identity(settings, temperature=0)["temperature"] == 0
