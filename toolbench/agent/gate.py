"""How many are worked on at once, how many wait, and when to come again."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

_SHORTEST, _LONGEST = 1, 60
"""Seconds that are asked to wait."""
_WEIGHT = 0.3
"""What the newest duration counts in the running mean."""


class FullError(Exception):
    """As many as may are waiting already; `seconds` until another try makes sense."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"The server is busy: try again in {seconds} seconds.")
        self.seconds = seconds


class Gate:
    """`async with gate.turn():` for one event loop; who came first goes first."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._at_once, self._most = at_once, waiting
        self._turns = asyncio.Semaphore(at_once)
        self.waiting = 0
        self._at_work: set[asyncio.Task[Any]] = set()
        self._mean = 0.0

    @property
    def working(self) -> int:
        """How many have a turn."""
        return len(self._at_work)

    @property
    def ending(self) -> int:
        """How many of them were told to stop, and still see a reply come that is paid for."""
        return sum(bool(task.cancelling()) for task in self._at_work)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a turn, and has it for the length of the block. Raises FullError if too many wait."""
        if self._turns.locked() and self.waiting >= self._most:
            raise FullError(self._pause())
        self.waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self.waiting -= 1
        started, task = time.monotonic(), asyncio.current_task()
        if task is None:
            raise RuntimeError("a turn is for a task")
        self._at_work.add(task)
        try:
            yield
        finally:
            self._at_work.discard(task)
            self._turns.release()
            took = time.monotonic() - started
            self._mean = took if not self._mean else (1 - _WEIGHT) * self._mean + _WEIGHT * took

    def _pause(self) -> int:
        """Whole seconds until a place in the line is probably free."""
        return min(max(math.ceil(self._mean / self._at_once), _SHORTEST), _LONGEST)
