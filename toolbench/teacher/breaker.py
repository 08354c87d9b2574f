"""A circuit breaker: an endpoint that is down is left alone for a while, then asked once."""


class Breaker:
    """Opens after `failures` in a row, for `seconds`; then one request, the probe, decides: it closes or stays open."""

    def __init__(self, failures: int, seconds: float) -> None:
        self._limit = failures
        self._seconds = seconds
        self._failures = 0
        self._until = 0.0
        self._probing = False

    @property
    def open(self) -> bool:
        """True while no request but a probe is let through."""
        return self._failures >= self._limit

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures

    def wait(self, now: float) -> float | None:
        """Seconds until a request may start; None: when the probe under way has ended."""
        if not self.open:
            return 0.0
        return None if self._probing else max(0.0, self._until - now)

    def start(self) -> bool:
        """A request starts; says whether it is the probe."""
        if self.open:
            self._probing = True
        return self.open

    def answered(self) -> None:
        """The endpoint is alive."""
        self._failures, self._probing = 0, False

    def failed(self, probe: bool, now: float) -> None:
        """A request got no answer."""
        before, self._failures = self._failures, self._failures + 1
        if probe:
            self._probing = False
        if probe or before < self._limit:
            self._until = now + self._seconds

    def trip(self, now: float) -> None:
        """The endpoint is down, however few requests it failed at."""
        self._failures, self._probing, self._until = max(self._failures, self._limit), False, now + self._seconds

    def dropped(self, probe: bool) -> None:
        """A request was given up by the caller: nothing is learnt; the next one is the probe."""
        if probe:
            self._probing = False
