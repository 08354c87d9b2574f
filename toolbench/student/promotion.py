"""The newest student against the one that serves, or against its base while none does, by ToolEval's pass rate."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolbench.digests import digest
from toolbench.lake import Lake, ModelEntry
from toolbench.prompts import load as load_template
from toolbench.statistics import Estimate
from toolbench.student.refresh import MODEL

NEWEST = "student-newest"
"""The student that was trained last, with the decision among its figures; `MODEL` is the one that serves."""

TRAINED, PREVIOUS, BASE = "trained", "previous", "base"
_CARD, _HEADING = "README.md", "\n## ToolEval\n"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the newest student serves from now on, and the figures it was decided by."""

    promoted: bool
    serves: str
    """The specification of the student that serves from now on; empty if none does."""
    newest: str
    previous: str
    """The specification of the student that served until now; empty if none did: then its base is the measure."""
    metric: str
    gain: Estimate | None
    """Of the newest over the previous one, or over the base, on the same held-out instructions; None if nothing was
    compared."""

    def sentence(self) -> str:
        """What was decided and why, for a person."""
        if self.previous == self.newest:
            return f"{self.newest} serves, as before."
        measure = self.previous or "its base"
        if self.gain is None:
            return f"{self.newest} serves: no instruction is held out to compare it with {measure}."
        figures = f"{100 * self.gain.mean:+.1f} points ({100 * self.gain.low:+.1f} to {100 * self.gain.high:+.1f})"
        change = f"{self.metric} {figures} on {self.gain.n} held-out instructions"
        if self.promoted:
            return f"{self.newest} serves in place of {measure}: {change}."
        stays = f"{self.previous} goes on serving" if self.previous else "No student serves"
        return f"{stays}: {self.newest} is worse than {measure} beyond the interval, {change}."


def decide(newest: str, previous: str, gain: Estimate | None) -> Decision:
    """The newest student serves unless it is worse than what was before it beyond the interval of the difference."""
    promoted = gain is None or gain.high >= 0
    return Decision(promoted, newest if promoted else previous, newest, previous, "pass rate", gain)


def recorded(
    lake: Lake, entry: ModelEntry, folder: Path, decision: Decision, measured: Mapping[str, Mapping[str, Any]]
) -> ModelEntry:
    """The newest student with what decided among its figures and on its card.

    `folder`: a copy of it, whose card is written anew. `measured`: what was measured (`trained`, `previous` or `base`)
    → its figures: `solved`, `queries`, `pass_rate` with its interval, `method` and `judge`. A card that an older
    snapshot points at stays as it was.
    """
    said = {"sentence": decision.sentence(), **asdict(decision)}
    card = (folder / _CARD).read_text(encoding="utf-8").partition(_HEADING)[0].rstrip()
    more = load_template("toolbench.student", "tooleval").render(sentence=decision.sentence(), measured=measured)
    (folder / _CARD).write_text(f"{card}\n{_HEADING}\n{more}\n", encoding="utf-8")
    figures = {**entry.metrics, "measured": dict(measured), "decision": said}
    made = lake.put_model(MODEL, f"{entry.spec}/{digest([said, measured], 12)}", folder, figures)
    return made.model_copy(update={"spec": entry.spec})


def models(newest: ModelEntry, decision: Decision, previous: ModelEntry | None) -> dict[str, ModelEntry]:
    """What a snapshot is to name: the newest student, and the one that serves if there is one."""
    serves = newest if decision.promoted else previous
    return {NEWEST: newest} | ({MODEL: serves} if serves else {})
