"""Not more to a host than it can take: turns, a pace, tries again, and a pause for APIs and hosts that are down.

What concerns a host is shared by all shards of the process, whose event loops run in threads of their own.
"""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType

from toolbench.apis.failure import Failed
from toolbench.settings import ApiSettings, HostSettings
from toolbench.teacher.waiting import Waiting, arrivals

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


class Slots:
    """So many at once and no more, whatever thread and event loop they are of; in order of arrival."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting = Waiting()

    async def acquire(self) -> None:
        """Waits for a slot, and takes it."""

        def ready() -> float | None:
            if not self._free:
                return None
            self._free -= 1
            return 0.0

        await self._waiting.enter(next(arrivals), ready)

    def release(self) -> None:
        """Gives a slot back."""
        with self._waiting.lock:
            self._free += 1
            self._waiting.wake()


class Pace:
    """Starts that are evenly spaced, `rate` a second at most: no burst after a rest. 0: no limit."""

    def __init__(self, rate: float, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._step = 1 / rate if rate else 0.0
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        self._lock = threading.Lock()

    async def wait(self) -> None:
        """Until this start's time has come."""
        with self._lock:
            now = self._clock()
            mine = max(now, self._next)
            self._next = mine + self._step
        if mine > now:
            await self._sleep(mine - now)


class LeftAlone(Failed):
    """Nothing was sent, because what was sent before came to nothing."""


class Breaker:
    """Leaves something alone for `seconds` after `failures` lost connections and timeouts in a row.

    Then one call is let through: if it fails, too, it is left alone again. Failures of the same `kind` count as one.
    """

    def __init__(
        self, name: str, failures: int, seconds: float, clock: Clock = time.monotonic, counted: str = "failures"
    ) -> None:
        self._name = name
        self._counted = counted
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._failures: set[object] = set()
        self._until = 0.0
        self._probing = False
        self._lock = threading.RLock()

    def check(self) -> None:
        """Raises LeftAlone while it is left alone."""
        with self._lock:
            if len(self._failures) < self._limit or not (self._probing or self._clock() < self._until):
                return
            row = f"{len(self._failures)} {self._counted} in a row"
            raise LeftAlone(f"{self._name} is left alone for {self._seconds:g} s after {row}")

    @contextmanager
    def watch(self, budget: Budget, kind: object = None) -> Iterator[None]:
        """Around one request. Raises LeftAlone instead of letting it through while it is left alone."""
        with self._lock:
            self.check()
            probe = len(self._failures) >= self._limit
            self._probing = self._probing or probe
        try:
            yield
        except asyncio.CancelledError:
            if budget.spent:
                self._failed(kind)
            raise
        except LeftAlone:
            raise
        except Failed as failure:
            if failure.lost:
                self._failed(kind)
            else:
                self._failures = set()
            raise
        else:
            self._failures = set()
        finally:
            if probe:
                self._probing = False

    def _failed(self, kind: object) -> None:
        with self._lock:
            self._failures.add(object() if kind is None else kind)
            self._until = self._clock() + self._seconds


class Breakers:
    """A host's breaker, and one for each of its APIs.

    An API that never answers says nothing of the others at its host: the host is left alone once so many different ones
    failed in a row.
    """

    def __init__(self, host: str, failures: int, seconds: float, clock: Clock = time.monotonic) -> None:
        self._host = Breaker(host, failures, seconds, clock, counted="APIs failed")
        self._apis: dict[str, Breaker] = {}
        self._rest = (failures, seconds, clock)
        self._name = host
        self._lock = threading.Lock()

    def check(self, api: str) -> None:
        """Raises LeftAlone while the host or the API is left alone."""
        self._host.check()
        self._of(api).check()

    @contextmanager
    def watch(self, budget: Budget, api: str) -> Iterator[None]:
        """Around one request. Raises LeftAlone instead of letting it through while host or API is left alone."""
        with self._host.watch(budget, kind=api), self._of(api).watch(budget):
            yield

    def _of(self, api: str) -> Breaker:
        with self._lock:
            if api not in self._apis:
                self._apis[api] = Breaker(f"{api} at {self._name}", *self._rest)
            return self._apis[api]


class Gate:
    """The limits of one host."""

    def __init__(self, slots: Slots, pace: Pace, breakers: Breakers, overall: asyncio.Semaphore) -> None:
        self._slots = slots
        self._pace = pace
        self._breakers = breakers
        self._overall = overall

    @asynccontextmanager
    async def turn(self, budget: Budget, api: str) -> AsyncIterator[None]:
        """Around one request of the API with this id: waits for its turn, which costs nothing of `budget`.

        Raises LeftAlone at once while host or API is left alone.
        """
        self._breakers.check(api)
        with budget.paused():
            await self._slots.acquire()
        try:
            self._breakers.check(api)
            with budget.paused():
                await self._pace.wait()
                # Last, so that who waits for a slow host is in nobody else's way.
                await self._overall.acquire()
            try:
                with self._breakers.watch(budget, api):
                    yield
            finally:
                self._overall.release()
        finally:
            self._slots.release()


_hosts: dict[object, tuple[Slots, Pace, Breakers]] = {}
"""By host, where it is, and its limits: what this process keeps to."""
_hosts_lock = threading.Lock()


class Gates:
    """One gate a host for one event loop, made when the host is first called.

    A host's turns, pace and failures are those of the whole process; how many calls are under way overall is not.
    """

    def __init__(self, settings: ApiSettings, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._overall = asyncio.Semaphore(settings.max_concurrency)
        self._gates: dict[str, Gate] = {}

    def of(self, host: str, rule: HostSettings) -> Gate:
        """The gate of a host that `rule` applies to."""
        if host not in self._gates:
            self._gates[host] = Gate(*self._shared(host, rule), self._overall)
        return self._gates[host]

    def _shared(self, host: str, rule: HostSettings) -> tuple[Slots, Pace, Breakers]:
        settings = self._settings
        rate = settings.rate_per_host if rule.rate is None else rule.rate
        slots = rule.concurrency or settings.concurrency_per_host
        failures, seconds = settings.breaker_failures, settings.breaker_seconds
        key = (host, rule.connect, slots, rate, failures, seconds, self._clock, self._sleep)
        with _hosts_lock:
            if key not in _hosts:
                pace = Pace(rate, self._clock, self._sleep)
                _hosts[key] = Slots(slots), pace, Breakers(host, failures, seconds, self._clock)
            return _hosts[key]


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
