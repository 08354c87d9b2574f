"""Bounded concurrency with results in order; work in threads that can be ended."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from toolbench.errors import StoppedError

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    items: Sequence[T],
    work: Callable[[T], Awaitable[R]],
    *,
    limit: int,
    done: Callable[[], None] | None = None,
) -> list[R]:
    """`work` on every item, at most `limit` at once; results in the order of `items`.

    `done` is called after each. The first exception cancels what is under way and is raised as it is.
    """
    results: list[R | None] = [None] * len(items)
    queue = iter(range(len(items)))

    async def worker() -> None:
        for index in queue:
            results[index] = await work(items[index])
            if done:
                done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(limit, len(items))):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return results  # type: ignore[return-value]


class Stopping:
    """Ends what event loops of other threads are doing. A thread cannot be interrupted; a loop's work can be cancelled.

    What is cancelled cleans up: a shard writes its journal.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[asyncio.Future[Any], asyncio.AbstractEventLoop] = {}
        self._stopped = False

    def run(self, main: Coroutine[Any, Any, R]) -> R:
        """As `asyncio.run`. Raises StoppedError once `stop` was called, by whatever thread."""
        try:
            return asyncio.run(self._watched(main))
        except asyncio.CancelledError:
            raise StoppedError("It was stopped; the same command goes on from here.") from None

    def stop(self) -> None:
        """End all that runs now, and all that would."""
        with self._lock:
            self._stopped = True
            for task, loop in self._running.items():
                loop.call_soon_threadsafe(task.cancel)

    async def _watched(self, main: Coroutine[Any, Any, R]) -> R:
        task = asyncio.ensure_future(main)
        with self._lock:
            self._running[task] = asyncio.get_running_loop()
            if self._stopped:
                task.cancel()
        try:
            return await task
        finally:
            with self._lock:
                del self._running[task]
