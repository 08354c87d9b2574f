"""Order, bounds and failures of concurrent work."""

import asyncio
import contextvars
import signal
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolbench.concurrency import Stopping, in_order
from toolbench.errors import StoppedError


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), max_size=30), st.integers(1, 8))
def test_results_come_in_the_order_of_the_items(delays: list[int], limit: int) -> None:
    finished: list[int] = []
    under_way = most = 0

    async def work(item: tuple[int, int]) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(item[1]):
            await asyncio.sleep(0)
        under_way -= 1
        return item[0]

    items = list(enumerate(delays))
    results = asyncio.run(in_order(items, work, limit=limit, done=lambda: finished.append(1)))
    assert results == list(range(len(items)))
    assert len(finished) == len(items)
    assert most <= limit
    assert most == min(limit, len(items))


def test_the_first_failure_is_raised_as_it_is_and_the_rest_is_cancelled() -> None:
    cancelled: list[int] = []
    started: list[int] = []

    async def work(item: int) -> None:
        started.append(item)
        if item == 1:
            raise ValueError("this one")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    with pytest.raises(ValueError, match="this one"):
        asyncio.run(in_order(range(10), work, limit=3))
    assert sorted(cancelled) == [0, 2]
    assert started == [0, 1, 2]


def test_cancelling_the_whole_cancels_every_part() -> None:
    cancelled: list[int] = []

    async def work(item: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.append(item)

    async def main() -> None:
        task = asyncio.create_task(in_order(range(4), work, limit=2))
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert sorted(cancelled) == [0, 1]


def test_what_threads_are_doing_is_ended_and_cleans_up_and_nothing_starts_after_it() -> None:
    stopping, under_way, cleaned, ends = Stopping(), threading.Semaphore(0), [], []

    async def work() -> None:
        try:
            under_way.release()
            await asyncio.sleep(60)
        finally:
            await asyncio.to_thread(cleaned.append, 1)

    def thread() -> None:
        try:
            stopping.run(work())
        except StoppedError as error:
            ends.append(error)

    threads = [threading.Thread(target=thread) for _ in range(3)]
    for each in threads:
        each.start()
    assert all(under_way.acquire(timeout=10) for _ in threads)
    stopping.stop()
    for each in threads:
        each.join(10)
    assert (len(cleaned), len(ends)) == (3, 3)
    with pytest.raises(StoppedError):
        stopping.run(work())
    assert len(cleaned) == 3


def test_shards_share_one_loop_whatever_thread_waits_for_them_and_each_keeps_its_threads_context() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    seen: list[tuple[int, threading.Thread]] = []

    async def work() -> None:
        seen.append((variable.get(), threading.current_thread()))

    def thread(number: int) -> None:
        variable.set(number)
        Stopping().run(work())

    threads = [threading.Thread(target=thread, args=[number]) for number in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert sorted(number for number, _ in seen) == [0, 1, 2]
    assert {where.name for _, where in seen} == {"shards"}


def test_ctrl_c_in_the_waiting_thread_ends_the_work_first() -> None:
    main = threading.main_thread().ident
    assert main is not None
    cleaned: list[int] = []

    async def work() -> None:
        try:
            signal.pthread_kill(main, signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            await asyncio.to_thread(cleaned.append, 1)

    with pytest.raises(KeyboardInterrupt):
        Stopping().run(work())
    assert cleaned == [1]


def test_what_is_not_stopped_gives_what_it_gives_and_raises_what_it_raises() -> None:
    async def work(fails: bool) -> int:
        if fails:
            raise ValueError("this")
        return 7

    assert Stopping().run(work(False)) == 7
    with pytest.raises(ValueError, match="this"):
        Stopping().run(work(True))
