"""Stages by the Batch API: the same rows as by the usual client, for half the price, and journaled as ever."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_batches import noted, stats
from workshop import Factory, Server, forget, settings_for

from toolbench import instructions, tooleval
from toolbench.concurrency import in_order
from toolbench.errors import TransientError
from toolbench.lake import Lake, Receipt, Spec
from toolbench.records import Instruction, Judgment, Reply
from toolbench.settings import Settings
from toolbench.world import World

Start = Callable[..., Server]
QUICK = {"batch": True, "batch_linger": 0.2, "batch_poll": 0.05}
PRICES = {"offline-teacher": (1.0, 3.0)}
HELLO = [{"role": "user", "content": "Hello"}]
SPEC = Spec(stage="test", label="", partition={}, records=[], content="", params={})


@pytest.fixture
def copy(factory: Factory, tmp_path: Path) -> Lake:
    """The factory's lake, without journals."""
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    shutil.rmtree(tmp_path / "lake" / "journals")
    return Lake(str(tmp_path / "lake"))


def worked(lake: Lake, spec: Spec, settings: Settings, stage: Any, main: str) -> Receipt:
    receipt: Receipt = asyncio.run(stage(lake, spec, settings, lambda: None))
    receipt.check(main)
    return receipt


@pytest.mark.parametrize("name", ["instructions", "judgments"])
def test_rows_are_the_same_but_for_what_they_cost(
    name: str, factory: Factory, copy: Lake, start_teacher: Start, tmp_path: Path
) -> None:
    stage, record = {
        "instructions": (instructions.generate, Instruction),
        "judgments": (tooleval.judge, Judgment),
    }[name]
    spec = max(getattr(factory, name).specs, key=lambda s: s.size)
    forget(copy, spec)
    other = Lake(shutil.copytree(copy.uri, str(tmp_path / "other")))
    server = start_teacher(malformed_rate=0.3)  # some replies are asked for again, in a second round
    teacher = {"base_url": f"{server.url}/v1", "prices": PRICES, "max_concurrency": 2}
    usual = worked(copy, spec, factory.settings.with_(teacher=teacher), stage, name)
    server.reset()
    batched = worked(other, spec, factory.settings.with_(teacher={**teacher, **QUICK}), stage, name)
    found = stats(server)
    assert (found["chat"], found["batched"]) == (0, usual.usage.calls)
    assert found["batches"] <= 2  # whatever max_concurrency says, all that can be asked at once is one batch
    assert usual.usage.cost > 0
    assert batched.usage.cost == pytest.approx(usual.usage.cost / 2)
    assert batched.model_dump(exclude={"usage", "tables"}) == usual.model_dump(exclude={"usage", "tables"})
    rows = [
        [replace(row, cost=0.0) for row in lake.read([receipt.tables[name]], record)]
        for lake, receipt in ((copy, usual), (other, batched))
    ]
    assert rows[0] == rows[1]
    assert rows[0]
    assert noted(other) == []
    # From its journal it is made again with nobody there, byte by byte.
    server.stop()
    before = other.store.read(batched.tables[name].path)
    forget(other, spec)
    again = worked(other, spec, factory.settings.with_(teacher={**teacher, **QUICK}), stage, name)
    assert again == batched
    assert other.store.read(again.tables[name].path) == before


def chatted(lake: Lake, settings: Settings, *seeds: int, independent: bool = True) -> list[Reply]:
    async def main() -> list[Reply]:
        async with World(lake, SPEC, settings, independent=independent) as world:
            return await in_order(seeds, lambda seed: world.chat("r", HELLO, seed=seed), limit=world.at_once(16))

    return asyncio.run(main())


def test_only_what_the_journal_lacks_is_batched(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()
    settings = settings_for(lake, server.url, teacher=QUICK)
    first = chatted(lake, settings, 1, 2)
    assert chatted(lake, settings, 1, 2, 3)[:2] == first
    assert (stats(server)["batches"], stats(server)["batched"]) == (2, 3)
    assert noted(lake) == []


def test_requests_that_wait_for_each_other_are_never_batched(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()
    chatted(lake, settings_for(lake, server.url, teacher=QUICK), 1, independent=False)
    chatted(lake, settings_for(lake, server.url), 2)
    assert (stats(server)["batches"], stats(server)["chat"]) == (0, 2)


def test_a_shard_that_failed_keeps_the_replies_it_had(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher(batch_drop_rate=0.5)
    settings = settings_for(lake, server.url, teacher=QUICK)
    seeds = range(8)
    with pytest.raises(TransientError, match="failed after 0 retries"):
        chatted(lake, settings, *seeds)
    server.reset()
    assert len(chatted(lake, settings.with_(teacher={"max_retries": 8}), *seeds)) == 8
    assert 0 < stats(server)["distinct"] < 8
    assert noted(lake) == []


def test_a_shard_cancelled_leaves_its_batch_to_the_next(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher(batch_ms=500)
    settings = settings_for(lake, server.url, teacher=QUICK)

    async def main() -> None:
        async with World(lake, SPEC, settings, independent=True) as world:
            asking = asyncio.gather(*(world.chat("r", HELLO, seed=seed) for seed in range(3)))
            while not await asyncio.to_thread(lambda: stats(server)["batches"]):
                await asyncio.sleep(0.02)
            asking.cancel()
            await asking

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert len(noted(lake)) == 1
    assert len(chatted(lake, settings, 0, 1, 2)) == 3
    assert (stats(server)["batches"], stats(server)["batched"]) == (1, 3)
    assert noted(lake) == []
