"""How many are worked on at once, how many wait, and when to come again."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
        self.working = self.waiting = 0
        self._mean = 0.0

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
        started = time.monotonic()
        self.working += 1
        try:
            yield
        finally:
            self.working -= 1
            self._turns.release()
            took = time.monotonic() - started
            self._mean = took if not self._mean else (1 - _WEIGHT) * self._mean + _WEIGHT * took

    def _pause(self) -> int:
        """Whole seconds until a place in the line is probably free."""
        return min(max(math.ceil(self._mean / self._at_once), _SHORTEST), _LONGEST)
