"""Whether the model that was trained last serves in place of the one before it."""

from dataclasses import dataclass

from toolbench.statistics import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether the newest model serves from now on, and the figures it was decided by."""

    promoted: bool
    serves: str
    """The specification of the model that serves from now on; empty if none does."""
    newest: str
    previous: str
    """The specification of the model that served until now; empty if none did."""
    against: str
    """What the newest was to be compared with, in words: the one before it, or what stood in for it; may be empty."""
    metric: str
    units: str
    """What is held out to compare them on, in the plural."""
    gain: Estimate | None
    """Of the newest over what it was compared with, on the same `units`; None if nothing was compared."""

    def sentence(self) -> str:
        """What was decided and why, for a person."""
        if not self.against:
            return f"{self.newest} serves: there was no model before it."
        if self.previous == self.newest:
            return f"{self.newest} serves, as before."
        if self.gain is None:
            return f"{self.newest} serves: no {self.units} are held out to compare it with {self.against}."
        figures = f"{100 * self.gain.mean:+.1f} points ({100 * self.gain.low:+.1f} to {100 * self.gain.high:+.1f})"
        change = f"{self.metric} {figures} on {self.gain.n} held-out {self.units}"
        if self.promoted:
            return f"{self.newest} serves in place of {self.against}: {change}."
        stays = f"{self.previous} goes on serving" if self.previous else "No model serves"
        return f"{stays}: {self.newest} is worse than {self.against} beyond the interval, {change}."


def decide(newest: str, previous: str, gain: Estimate | None, *, metric: str, units: str, base: str = "") -> Decision:
    """The newest model serves unless it is worse than what was before it beyond the interval of the difference.

    `newest` and `previous` are specifications, the latter empty if no model served; `base` then says in words what the
    newest was measured against. Without anything held out nothing is known against it.
    """
    promoted = gain is None or gain.high >= 0
    return Decision(
        promoted=promoted,
        serves=newest if promoted else previous,
        newest=newest,
        previous=previous,
        against=previous or base,
        metric=metric,
        units=units,
        gain=gain,
    )
