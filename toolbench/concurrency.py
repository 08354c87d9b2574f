"""Bounded concurrency with results in order; work in threads that can be ended."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
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


class _Loop:
    """One event loop in a thread of its own, for all shards of this process; it starts when it is first needed.

    With a loop a thread, shards would take turns at the interpreter's lock instead of waiting side by side.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        """The loop, running."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True, name="shards").start()
            return self._loop


_SHARDS = _Loop()


class Stopping:
    """Ends what threads wait for. A thread cannot be interrupted; a loop's work can be cancelled.

    What is cancelled cleans up: a shard writes its journal.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._stopped = False
        self._loop = _SHARDS.get()

    def run(self, main: Coroutine[Any, Any, R]) -> R:
        """What `main` gives, which the loop of all shards works on while this thread waits.

        What blocks that loop blocks all shards: work that takes long belongs into a thread. Raises StoppedError once
        `stop` was called, by whatever thread; an exception that reaches the waiting thread ends `main`, too.
        """
        ended: Future[R] = Future()
        try:
            self._loop.call_soon_threadsafe(self._start, main, ended)
            return ended.result()
        except BaseException:
            # Ctrl-C in this thread: what has begun ends first.
            if not ended.done() and not ended.cancel():
                self.stop()
                ended.exception()
            raise

    def check(self) -> None:
        """Raises StoppedError once `stop` was called: for whoever waits in a thread for something else."""
        if self._stopped:
            raise StoppedError("It was stopped; the same command goes on from here.")

    def stop(self) -> None:
        """End all that runs now, and all that would."""
        with self._lock:
            self._stopped = True
            for task in self._running:
                self._loop.call_soon_threadsafe(task.cancel)

    def _start(self, main: Coroutine[Any, Any, R], ended: "Future[R]") -> None:
        if not ended.set_running_or_notify_cancel():
            main.close()
            return
        task = self._loop.create_task(main)
        with self._lock:
            self._running.add(task)
            if self._stopped:
                task.cancel()
        task.add_done_callback(lambda task: self._ended(task, ended))

    def _ended(self, task: "asyncio.Task[R]", ended: "Future[R]") -> None:
        with self._lock:
            self._running.discard(task)
        if task.cancelled():
            ended.set_exception(StoppedError("It was stopped; the same command goes on from here."))
        elif error := task.exception():
            ended.set_exception(error)
        else:
            ended.set_result(task.result())
