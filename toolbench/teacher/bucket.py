"""A token bucket that may go into debt."""

_TINY = 1e-9


class Bucket:
    """Fills by `rate` a second up to `top`; what is taken beyond its level is a debt that is paid off first.

    So a need above `top` has to wait for a full bucket only, and delays those after it.
    """

    def __init__(self, rate: float, top: float, level: float, now: float) -> None:
        self._rate = rate
        self._top = top
        self._level = level
        self._at = now

    @classmethod
    def per_minute(cls, amount: int, now: float) -> "Bucket":
        """At most about `amount` a minute, evenly spread: no more than a tenth of a second's worth, or 1, at once."""
        top = max(1.0, amount / 600)
        return cls(amount / 60, top, top, now)

    def wait(self, need: float, now: float) -> float:
        """Seconds until `need` may be taken; infinite if the bucket never fills."""
        missing = min(need, self._top) - self._filled(now)
        if missing <= _TINY:
            return 0.0
        return missing / self._rate if self._rate else float("inf")

    def take(self, amount: float, now: float) -> None:
        """Take `amount`, whatever the level; a negative one gives back what was taken too much."""
        self._level, self._at = min(self._top, self._filled(now) - amount), now

    def _filled(self, now: float) -> float:
        return min(self._top, self._level + self._rate * (now - self._at))
