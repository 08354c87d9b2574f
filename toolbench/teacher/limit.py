"""How many requests an endpoint takes at once, found out by trying."""

_FIRST = 16.0
_FLOOR = 1.0
_CUT = 0.5
_STEP = 0.25
"""Raised by one answer at most: at a limit of 1 or 2 every second request would be one too many."""


class Limit:
    """Additive increase, multiplicative decrease, between 1 and `ceiling`.

    Until the first sign of crowding every answer raises the limit by 1, so that it at most doubles in the time of one
    request; after it, by at most 1 in that time. A sign of crowding halves it, once for all requests that were
    under way together.
    """

    def __init__(self) -> None:
        self.ceiling = 0
        """Requests that may be under way at most."""
        self._value = _FIRST
        self._searching = True
        self._cut_at = float("-inf")

    @property
    def value(self) -> int:
        """Requests that may be under way now."""
        return max(int(_FLOOR), min(int(self._value), self.ceiling))

    def answered(self, running: int) -> None:
        """After an answer that others waited for, with `running` requests under way until then.

        A limit that is not made use of is not raised: half of it, since those that began together end together.
        """
        if 2 * running >= self.value:
            step = 1.0 if self._searching else min(_STEP, 1.0 / self._value)
            self._value = max(_FLOOR, min(self._value + step, float(self.ceiling)))

    def crowded(self, began: float, now: float) -> None:
        """After a sign of crowding, by a request that `began` then."""
        if began >= self._cut_at:
            self._value = max(_FLOOR, min(self._value, float(self.ceiling)) * _CUT)
            self._cut_at, self._searching = now, False
