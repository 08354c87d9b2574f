"""A page on which judges and people differ, side by side: to see whether the judge is wrong, or the label."""

from collections.abc import Sequence

from toolbench.report.pages import render
from toolbench.tooleval.agreement import Agreement, Item

_TURN = 400
"""Characters of a turn that are shown."""
_TURNS = 16
"""Turns of a trajectory that are shown: half of them its first, half its last."""
_TEXT = 3_000
"""Characters of an instruction or an answer that are shown."""


def differences(items: Sequence[Item], found: Agreement, source: str) -> str:
    """The page as HTML: the figures, then every item on which a judge differs from people, most differences first.

    Self-contained, no script. `source` names the file the labels came from.
    """
    judges = [figures.judge for figures in found.judges]
    shown = []
    for item in items:
        if item.truth is None:
            continue
        against = [judge for judge in judges if item.judges.get(judge) != item.truth]
        if against:
            shown.append((item, against, _shortened(item.turns)))
    shown.sort(key=lambda row: (-len(row[1]), row[0].id))
    return render("agreement", found=found, shown=shown, judges=judges, source=source, clip=_clip, limit=_TEXT)


def _shortened(turns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """First and last turns, each cut, with a note of how many are left out between them."""
    kept = [(who, _clip(text, _TURN)) for who, text in turns]
    if len(kept) <= _TURNS:
        return kept
    half = _TURNS // 2
    return [*kept[:half], ("", f"… {len(kept) - _TURNS} more turns …"), *kept[-half:]]


def _clip(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"
