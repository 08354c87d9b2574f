"""The newest student against the one that serves, or against its base while none does, by ToolEval's pass rate."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from toolbench import promotion
from toolbench.digests import digest
from toolbench.lake import Lake, ModelEntry
from toolbench.promotion import Decision
from toolbench.prompts import load as load_template
from toolbench.statistics import Estimate
from toolbench.student.refresh import MODEL

NEWEST = "student-newest"
"""The student that was trained last, with the decision among its figures; `MODEL` is the one that serves."""

TRAINED, PREVIOUS, BASE = "trained", "previous", "base"
_CARD, _HEADING = "README.md", "\n## ToolEval\n"


def decide(newest: str, previous: str, gain: Estimate | None) -> Decision:
    """The newest student serves unless it is worse than the one before it, or than its base while none served, beyond
    the interval of the difference."""
    return promotion.decide(newest, previous, gain, metric="pass rate", units="instructions", base="its base")


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
