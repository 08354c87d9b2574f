"""Not more to a host than it can take: turns, a pace, tries again, and a pause for hosts that are down."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType

from toolbench.apis.failure import Failed
from toolbench.settings import ApiSettings, HostSettings

Clock = Callable[[], float]
"""Seconds, from any start, never backwards."""
Sleep = Callable[[float], Awaitable[None]]

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0


class Budget:
    """The seconds one call may take; waiting for a turn is not counted. Raises TimeoutError at the block's end."""

    def __init__(self, seconds: float) -> None:
        self._limit = asyncio.timeout(seconds)

    async def __aenter__(self) -> "Budget":
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._limit.__aexit__(kind, error, trace)

    @property
    def left(self) -> float:
        """Seconds left."""
        return (self._limit.when() or 0.0) - asyncio.get_running_loop().time()

    @property
    def spent(self) -> bool:
        """True once time is up."""
        return self._limit.expired()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside the block is not counted."""
        left = self.left
        self._limit.reschedule(None)
        try:
            yield
        finally:
            self._limit.reschedule(asyncio.get_running_loop().time() + left)


class Pace:
    """Starts that are evenly spaced, `rate` a second at most: no burst after a rest. 0: no limit."""

    def __init__(self, rate: float, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._step = 1 / rate if rate else 0.0
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0

    async def wait(self) -> None:
        """Until this start's time has come."""
        now = self._clock()
        mine = max(now, self._next)
        self._next = mine + self._step
        if mine > now:
            await self._sleep(mine - now)


class Breaker:
    """Leaves a host alone for `seconds` after `failures` lost connections and timeouts in a row.

    Then one call is let through: if it fails, too, the host is left alone again.
    """

    def __init__(self, host: str, failures: int, seconds: float, clock: Clock = time.monotonic) -> None:
        self._host = host
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._until = 0.0
        self._probing = False

    def check(self) -> None:
        """Raises Failed while the host is left alone."""
        if self._failures >= self._limit and (self._probing or self._clock() < self._until):
            raise Failed(f"{self._host} is left alone for {self._seconds:g} s after {self._failures} failures in a row")

    @contextmanager
    def watch(self, budget: Budget) -> Iterator[None]:
        """Around one request. Raises Failed instead of letting it through while the host is left alone."""
        self.check()
        probe = self._probing = self._failures >= self._limit
        try:
            yield
        except asyncio.CancelledError:
            if budget.spent:
                self._failed()
            raise
        except Failed as failure:
            if failure.lost:
                self._failed()
            else:
                self._failures = 0
            raise
        else:
            self._failures = 0
        finally:
            if probe:
                self._probing = False

    def _failed(self) -> None:
        self._failures += 1
        self._until = self._clock() + self._seconds


class Gate:
    """The limits of one host."""

    def __init__(self, slots: int, pace: Pace, breaker: Breaker, overall: asyncio.Semaphore) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._pace = pace
        self._breaker = breaker
        self._overall = overall

    @asynccontextmanager
    async def turn(self, budget: Budget) -> AsyncIterator[None]:
        """Around one request: waits for its turn, which costs nothing of `budget`.

        Raises Failed at once while the host is left alone.
        """
        self._breaker.check()
        with budget.paused():
            await self._slots.acquire()
        try:
            self._breaker.check()
            with budget.paused():
                await self._pace.wait()
                # Last, so that who waits for a slow host is in nobody else's way.
                await self._overall.acquire()
            try:
                with self._breaker.watch(budget):
                    yield
            finally:
                self._overall.release()
        finally:
            self._slots.release()


class Gates:
    """One gate a host, made when the host is first called."""

    def __init__(self, settings: ApiSettings, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._overall = asyncio.Semaphore(settings.max_concurrency)
        self._gates: dict[str, Gate] = {}

    def of(self, host: str, rule: HostSettings) -> Gate:
        """The gate of a host that `rule` applies to."""
        if host not in self._gates:
            settings = self._settings
            rate = settings.rate_per_host if rule.rate is None else rule.rate
            self._gates[host] = Gate(
                rule.concurrency or settings.concurrency_per_host,
                Pace(rate, self._clock, self._sleep),
                Breaker(host, settings.breaker_failures, settings.breaker_seconds, self._clock),
                self._overall,
            )
        return self._gates[host]


def pause(tries: int) -> float:
    """Seconds before the next try after `tries` tries: exponential, with jitter."""
    longest: float = min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE)
    return longest * (0.5 + random.random() / 2)


def retry_after(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for, as seconds or as a date; None if it says nothing readable."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, (date.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
