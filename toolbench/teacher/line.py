"""The line before one endpoint: how many at once, how many a minute, and whether to ask at all."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from toolbench.errors import TransientError
from toolbench.settings import TeacherSettings
from toolbench.teacher.breaker import Breaker
from toolbench.teacher.bucket import Bucket
from toolbench.teacher.headers import Allowance, allowance
from toolbench.teacher.limit import Limit
from toolbench.teacher.waiting import Clock, Waiting

_REST = 30.0
"""Seconds without a request after which silence is counted anew."""
_SLOW = 3.0
"""How much longer than its slowest answer an endpoint may be silent."""


class LeftAloneError(Exception):
    """The endpoint is left alone, and there is another one to ask; or it is gone."""


class End(enum.Enum):
    """How a request ended, as far as the endpoint's health is concerned."""

    ANSWERED = "answered"
    """With a reply, or an error about the request."""
    LIMITED = "limited"
    """429: alive, but crowded."""
    CROWDED = "crowded"
    """503 or no answer in time: crowded, and possibly down."""
    FAILED = "failed"
    """Another 5xx, a lost connection, or an answer cut off."""
    DROPPED = "dropped"
    """The caller gave it up."""


_ALIVE = (End.ANSWERED, End.LIMITED)


@dataclass(slots=True)
class Turn:
    """One request under way."""

    tokens: float
    """Tokens it may use, as estimated."""
    began: float
    probe: bool


class Line:
    """All that a process knows of one endpoint, shared by its threads and event loops.

    Requests start in order of arrival, as soon as fewer are under way than the limit found so far, the rates that
    settings give and response headers tell are kept, and the endpoint is not left alone.
    """

    def __init__(self, url: str, settings: TeacherSettings, clock: Clock) -> None:
        self.url = url
        self.limit = Limit()
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_seconds)
        self._settings = settings
        self._clock = clock
        self._waiting = Waiting()
        self._running = 0
        self._hold = float("-inf")
        self._silent_since: float | None = None
        self._ended = float("-inf")
        self._slowest = 0.0
        self._seen = False
        self.gone = 0
        """How often the endpoint was found to be gone."""
        self.trouble = ""
        """What its last failure was, in a few words."""
        now = clock()
        self._own: dict[str, Bucket] = {
            kind: Bucket.per_minute(amount, now)
            for kind, amount in (("requests", settings.rpm), ("tokens", settings.tpm))
            if amount
        }
        self._told: dict[str, Bucket] = {}

    @property
    def meters_tokens(self) -> bool:
        """Whether it matters how many tokens a request needs."""
        return "tokens" in self._own or "tokens" in self._told

    @property
    def answered(self) -> bool:
        """Whether the endpoint has ever answered, or given another sign of life."""
        return self._slowest > 0 or self._seen

    @property
    def left_alone(self) -> bool:
        """Whether no request can start now because the endpoint is down; one may when it is time for a probe."""
        return self.breaker.wait(self._clock()) != 0

    def join(self, requests: int) -> None:
        """Another client will have so many requests under way at most; a negative number: it is gone."""
        with self._waiting.lock:
            self.limit.ceiling += requests
            self._waiting.wake()

    @property
    def patience(self) -> float:
        """Seconds of silence after which the endpoint has to be asked whether it is there."""
        usual = min(_SLOW * self._slowest, self._settings.timeout)
        return max(self._settings.gone_seconds, usual)

    def silence_left(self) -> float:
        """Seconds until the endpoint will have been silent for too long although it was asked; 0: it has been."""
        with self._waiting.lock:
            if self._silent_since is None:
                return self.patience
            return max(0.0, self._silent_since + self.patience - self._clock())

    def alive(self) -> None:
        """The endpoint gave a sign of life outside any turn."""
        with self._waiting.lock:
            self.breaker.answered()
            self._seen = True
            self._silent_since = self._clock() if self._running else None
            self._waiting.wake()

    def lost(self, trouble: str) -> None:
        """The endpoint gave none when asked for one: whoever waits, or has a request under way, has to give up."""
        with self._waiting.lock:
            self.gone, self.trouble, self._silent_since = self.gone + 1, trouble, None
            self.breaker.trip(self._clock())
            self._waiting.wake()

    async def turn(
        self, number: int, tokens: float, elsewhere: Callable[[], bool] = lambda: False, gone: int | None = None
    ) -> Turn:
        """Waits until the request that came as the `number`th may start; `over` has to follow.

        Raises LeftAloneError while the endpoint is left alone, if `elsewhere` says that there is another one, and once
        it was found to be gone more often than `gone` times (by default: than so far).
        Raises TransientError instead of waiting longer than `retry_seconds` for what the endpoint's own headers ask
        for.
        """
        turn = Turn(tokens, 0.0, False)
        known = self.gone if gone is None else gone

        def ready() -> float | None:
            if self.gone > known or (self.left_alone and elsewhere()):
                raise LeftAloneError
            delay = self._delay(tokens)
            if delay == 0:
                self._start(turn)
            return delay

        await self._waiting.enter(number, ready)
        return turn

    def over(self, turn: Turn, end: End, used: float | None, headers: Mapping[str, str], hold: float | None) -> None:
        """A request has ended.

        `used`: the tokens it really used, if that is known. `headers`: the response's. `hold`: the seconds for which
        the endpoint asked to be left in peace.
        """
        now = self._clock()
        with self._waiting.lock:
            if end in _ALIVE:
                self.breaker.answered()
            elif end is End.DROPPED:
                self.breaker.dropped(turn.probe)
            else:
                self.breaker.failed(turn.probe, now)
            if end is End.ANSWERED and len(self._waiting):
                self.limit.answered(self._running)
            elif end in (End.LIMITED, End.CROWDED):
                self.limit.crowded(turn.began, now)
            self._running -= 1
            self._ended = now
            if end in _ALIVE:
                self._silent_since = now if self._running else None
            if end is End.ANSWERED:
                self._slowest = max(self._slowest, now - turn.began)
            if used is not None:
                for buckets in (self._own, self._told):
                    if "tokens" in buckets:
                        buckets["tokens"].take(used - turn.tokens, now)
            if hold is not None:
                self._hold = max(self._hold, now + hold)
            for kind in ("requests", "tokens"):
                if told := allowance(headers, kind):
                    self._told_of(kind, told, now)
            self._waiting.wake()

    def _delay(self, tokens: float) -> float | None:
        now = self._clock()
        wait = self.breaker.wait(now)
        if wait is None or wait > 0:
            return wait
        if self._running >= self.limit.value:
            return None
        needs = {"requests": 1.0, "tokens": tokens}
        told = max([self._hold - now, 0.0, *(b.wait(needs[kind], now) for kind, b in self._told.items())])
        if told > self._settings.retry_seconds:
            raise TransientError(
                f"The teacher at {self.url} asks for a pause of {told:.0f} s, which is longer than "
                f"teacher.retry_seconds ({self._settings.retry_seconds:g}): come back later or raise it."
            )
        return max([told, *(b.wait(needs[kind], now) for kind, b in self._own.items())])

    def _start(self, turn: Turn) -> None:
        turn.began = self._clock()
        rest = max(_REST, 3 * self._settings.breaker_seconds)
        if self._silent_since is None or (not self._running and turn.began - self._ended > rest):
            self._silent_since = turn.began
        turn.probe = self.breaker.start()
        self._running += 1
        for buckets in (self._own, self._told):
            for kind, bucket in buckets.items():
                bucket.take(1.0 if kind == "requests" else turn.tokens, turn.began)

    def _told_of(self, kind: str, told: Allowance, now: float) -> None:
        if told.limit and told.reset > 0:
            # What is used comes back evenly until the reset.
            rate = max(0.0, told.limit - told.remaining) / told.reset
            self._told[kind] = Bucket(rate or told.limit / told.reset, told.limit, told.remaining, now)
        elif told.remaining == 0:
            self._hold = max(self._hold, now + told.reset)
