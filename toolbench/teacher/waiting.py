"""Waiting in order of arrival, for tasks of any thread and event loop of the process."""

import asyncio
import threading
from bisect import insort
from collections.abc import Callable
from itertools import count

Clock = Callable[[], float]
"""Seconds, from any start, never backwards; the same for all threads."""

arrivals = count()
"""Numbers in order of arrival: who tries again keeps the number it came with."""


class _Waiter:
    def __init__(self, number: int) -> None:
        self.number = number
        self.loop = asyncio.get_running_loop()
        self.bell = self.loop.create_future()

    def ring(self) -> None:
        """From any thread. Raises RuntimeError if the waiter's event loop was closed."""
        self.loop.call_soon_threadsafe(_set, self.bell)


def _set(bell: "asyncio.Future[None]") -> None:
    if not bell.done():
        bell.set_result(None)


class Waiting:
    """One queue. `lock` guards it and whatever its `ready` functions look at; no one awaits while holding it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._queue: list[_Waiter] = []

    def __len__(self) -> int:
        return len(self._queue)

    async def enter(self, number: int, ready: Callable[[], float | None]) -> None:
        """Waits until it is this number's turn and `ready` says 0; lower numbers come first.

        `ready` is called with the lock held, only for the first in the queue: 0 lets it go, and takes what it needs;
        any other number means: ask again in so many seconds; None: ask again after `wake`. What it raises is raised
        here, and the next in the queue is asked.
        """
        with self.lock:
            if (not self._queue or number < self._queue[0].number) and ready() == 0:
                return
            waiter = _Waiter(number)
            insort(self._queue, waiter, key=lambda w: w.number)
        try:
            while True:
                with self.lock:
                    delay = None
                    if self._queue[0] is waiter and (delay := ready()) == 0:
                        return
                    bell = waiter.bell = waiter.loop.create_future()
                await asyncio.wait((bell,), timeout=delay)
        finally:
            with self.lock:
                if waiter in self._queue:
                    self._queue.remove(waiter)
                self.wake()

    def wake(self) -> None:
        """Have the first in the queue look again."""
        with self.lock:
            while self._queue:
                try:
                    self._queue[0].ring()
                    break
                except RuntimeError:
                    del self._queue[0]  # its event loop was closed over its head
