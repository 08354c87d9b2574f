import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from toolbench.errors import LakeError
from toolbench.lake import Journal, Lake
from toolbench.lake import journal as module

SPEC = "0123456789abcdef"


class Outside:
    """Answers with the number of the question, so that no two answers are alike."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self) -> Any:
        self.asked += 1
        return {"answer": self.asked, "text": "Ürümqi"}


def journal_files(lake: Lake) -> list[str]:
    return [key for key, _ in lake.store.list(f"journals/{SPEC}")]


async def ask_all(journal: Journal, outside: Callable[[], Awaitable[Any]]) -> list[Any]:
    asked = (("r1", "chat", {"q": 1}), ("r1", "chat", {"q": 1}), ("r1", "api", {"q": 1}), ("r2", "chat", {"q": 1}))
    return [await journal.answer(record, kind, request, outside) for record, kind, request in asked]


async def run(lake: Lake, outside: Callable[[], Awaitable[Any]], compact: bool = False) -> tuple[list[Any], Journal]:
    async with Journal(lake, SPEC) as journal:
        answers = await ask_all(journal, outside)
        if compact:
            await journal.compact()
    return answers, journal


@pytest.mark.parametrize("compact", [False, True])
def test_a_replay_gives_the_same_answers_without_asking(lake: Lake, compact: bool) -> None:
    first, second = Outside(), Outside()
    answers, journal = asyncio.run(run(lake, first, compact))
    # Repeated requests, another kind, another record: four questions, four answers.
    assert [a["answer"] for a in answers] == [1, 2, 3, 4]
    assert (journal.asked, journal.replayed, first.asked) == (4, 0, 4)
    again, replay = asyncio.run(run(Lake(lake.uri), second, compact))
    assert again == answers
    assert (replay.asked, replay.replayed, second.asked) == (0, 4, 0)


def test_the_order_of_a_requests_keys_does_not_matter(lake: Lake) -> None:
    async def scenario() -> None:
        outside = Outside()
        async with Journal(lake, SPEC) as journal:
            await journal.answer("r", "chat", {"a": 1, "b": 2}, outside)
        async with Journal(lake, SPEC) as journal:
            await journal.answer("r", "chat", {"b": 2, "a": 1}, outside)
            await journal.answer("r", "chat", {"b": 2, "a": 3}, outside)
        assert outside.asked == 2

    asyncio.run(scenario())


def test_the_first_answer_is_what_a_replay_gives(lake: Lake) -> None:
    """Tuples, integer keys, half a surrogate pair: the caller never sees what a replay could not give."""

    async def odd() -> Any:
        return {1: ("a", "cut \ud83d")}

    async def scenario() -> list[Any]:
        answers = []
        for _ in range(2):
            async with Journal(lake, SPEC) as journal:
                answers.append(await journal.answer("r", "api", "q", odd))
        return answers

    first, second = asyncio.run(scenario())
    assert first == second == {"1": ["a", "cut ?"]}


def test_what_was_flushed_survives_a_crash(lake: Lake) -> None:
    async def scenario() -> None:
        crashed = Journal(lake, SPEC)
        await crashed.__aenter__()
        await ask_all(crashed, Outside())
        await asyncio.sleep(1.0)  # the promise of the format: an answer waits a second at most
        outside = Outside()
        async with Journal(lake, SPEC) as journal:
            assert [a["answer"] for a in await ask_all(journal, outside)] == [1, 2, 3, 4]
        assert outside.asked == 0
        await crashed.__aexit__()

    asyncio.run(scenario())


def test_an_exception_is_not_an_answer(lake: Lake) -> None:
    async def fail() -> Any:
        raise ConnectionError("lost")

    async def scenario() -> None:
        async with Journal(lake, SPEC) as journal:
            with pytest.raises(ConnectionError):
                await journal.answer("r", "chat", "q", fail)
        outside = Outside()
        async with Journal(lake, SPEC) as journal:
            await journal.answer("r", "chat", "q", outside)
        assert outside.asked == 1

    asyncio.run(scenario())


def test_a_failed_write_stops_the_asking(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    outside = Outside()

    def full(*_: object) -> None:
        raise LakeError("The disk is full")

    async def scenario() -> None:
        async with Journal(lake, SPEC) as journal:
            await journal.answer("r", "chat", 0, outside)
            monkeypatch.setattr(lake.store, "write", full)
            await journal.answer("r", "chat", 1, outside)
            for n in range(2, 100):
                await asyncio.sleep(0.02)
                await journal.answer("r", "chat", n, outside)

    with pytest.raises(LakeError, match="The disk is full"):
        asyncio.run(scenario())
    assert outside.asked < 50


def test_a_failed_write_at_the_end_raises(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise LakeError("The disk is full")

    monkeypatch.setattr(lake.store, "write", full)
    with pytest.raises(LakeError, match="The disk is full"):
        asyncio.run(run(lake, Outside()))


def test_a_cancelled_write_loses_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    write, reached, go = lake.store.write, threading.Event(), threading.Event()

    def slow(key: str, data: bytes) -> None:
        reached.set()
        go.wait(10)
        write(key, data)

    async def scenario() -> None:
        async with Journal(lake, SPEC) as journal:
            await ask_all(journal, Outside())
            monkeypatch.setattr(lake.store, "write", slow)
            flush = asyncio.create_task(journal.flush())
            await asyncio.to_thread(reached.wait, 10)
            flush.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flush
            monkeypatch.setattr(lake.store, "write", write)
            go.set()

    asyncio.run(scenario())
    outside = Outside()
    answers, _ = asyncio.run(run(lake, outside))
    assert ([a["answer"] for a in answers], outside.asked) == ([1, 2, 3, 4], 0)


def test_compaction_merges_into_one_sorted_file(lake: Lake) -> None:
    async def scenario() -> None:
        async with Journal(lake, SPEC) as journal:
            for n in (3, 1, 2):
                await journal.answer(f"r{n}", "chat", n, Outside())
                await journal.flush()
            assert len(journal_files(lake)) == 3
            await journal.compact()
        assert len(journal_files(lake)) == 1
        async with Journal(lake, SPEC) as journal:
            await journal.answer("r4", "chat", 4, Outside())
            await journal.compact()

    asyncio.run(scenario())
    (only,) = journal_files(lake)
    assert list(pd.read_parquet(lake.store.path(only))["record"]) == ["r1", "r2", "r3", "r4"]


def test_two_writers_of_one_shard_do_not_delete_what_the_other_wrote(lake: Lake) -> None:
    async def scenario() -> None:
        async with Journal(lake, SPEC) as one, Journal(lake, SPEC) as two:
            for writer, record in ((one, "r1"), (two, "r2")):
                for n in range(2):
                    await writer.answer(record, "chat", n, Outside())
                    await writer.flush()
            await one.compact()
            await two.compact()
        outside = Outside()
        async with Journal(lake, SPEC) as journal:
            for record in ("r1", "r2"):
                for n in range(2):
                    await journal.answer(record, "chat", n, outside)
        assert outside.asked == 0

    asyncio.run(scenario())


def test_a_part_merged_away_while_it_is_read_is_found_in_the_merged_file(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with Journal(lake, SPEC) as writer:
            for n in range(2):
                await writer.answer("r", "chat", n, Outside())
                await writer.flush()
            listing, reader = lake.store.list, Journal(lake, SPEC)

            def list_then_merge(prefix: str) -> list[tuple[str, int]]:
                found = listing(prefix)
                monkeypatch.setattr(lake.store, "list", listing)
                writer._compact()
                return found

            monkeypatch.setattr(lake.store, "list", list_then_merge)
            outside = Outside()
            async with reader:
                for n in range(2):
                    await reader.answer("r", "chat", n, outside)
            assert outside.asked == 0

    asyncio.run(scenario())


def test_a_damaged_part_is_named(lake: Lake) -> None:
    asyncio.run(run(lake, Outside()))
    (key,) = journal_files(lake)
    lake.store.write(key, lake.store.read(key)[:-9])
    with pytest.raises(LakeError, match=f"{lake.store.url(key)} is damaged"):
        asyncio.run(run(lake, Outside()))


def test_a_newer_journal_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(module, "VERSION", 2)
        asyncio.run(run(lake, Outside()))
    with pytest.raises(LakeError, match="newer toolbench"):
        asyncio.run(run(lake, Outside()))


@pytest.mark.parametrize("compact", [False, True])
def test_pandas_reads_the_folder_with_the_documented_columns(lake: Lake, compact: bool) -> None:
    asyncio.run(run(lake, Outside(), compact))
    frame = pd.read_parquet(Path(lake.uri) / "journals" / SPEC)
    documented = [line.split("|")[1].strip() for line in (module.__doc__ or "").splitlines() if line.startswith("| ")]
    assert list(frame.columns) == documented[1:]
    assert set(frame["version"]) == {1}
    assert sorted(frame["occurrence"]) == [0, 0, 0, 1]
    assert json.loads(frame["answer"][0])["text"] == "Ürümqi"
    assert str(frame["started_at"].dt.tz) == "UTC"
    assert (frame["seconds"] >= 0).all()
    assert frame["request"].str.fullmatch("[0-9a-f]{32}").all()


def test_what_an_earlier_shard_was_answered_is_not_asked_again_and_kept(lake: Lake) -> None:
    asyncio.run(run(lake, Outside(), compact=True))
    outside = Outside()

    async def scenario(name: str, *earlier: str) -> tuple[Any, Any, Journal]:
        async with Journal(lake, name, earlier=earlier) as journal:
            known = await journal.answer("r1", "chat", {"q": 1}, outside)
            new = await journal.answer("r9", "chat", {"q": 1}, outside)
            await journal.compact()
        return known, new, journal

    known, new, journal = asyncio.run(scenario("later", SPEC, "never-there"))
    assert (known["answer"], new["answer"]) == (1, 1)
    assert (journal.replayed, journal.asked, outside.asked) == (1, 1, 1)
    lake.store.delete(journal_files(lake))
    again = asyncio.run(scenario("later"))[2]
    assert (again.replayed, again.asked) == (2, 0), "it has copied what it took over"
    assert len(lake.store.list("journals/later")) == 1
    rows = pd.read_parquet(Path(lake.store.path("journals/later")))
    assert sorted(rows["record"]) == ["r1", "r9"], "and no more than that"
