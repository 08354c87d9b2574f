"""A page on which judges and people differ, side by side: to see whether the judge is wrong, or the label."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolbench.errors import SourceError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Judgment
from toolbench.report.pages import render
from toolbench.tooleval.agreement import Agreement, Item, compare
from toolbench.tooleval.agreement_reading import read, with_lake

_TURN = 400
"""Characters of a turn that are shown."""
_TURNS = 16
"""Turns of a trajectory that are shown: half of them its first, half its last."""
_TEXT = 3_000
"""Characters of an instruction or an answer that are shown."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Judges beside people's labels."""

    items: Sequence[Item]
    found: Agreement
    source: str
    """The file the labels came from."""

    @classmethod
    def read(cls, file: Path, lake: Lake, snapshot: Snapshot) -> "Compared":
        """The items of a file of labels, with the verdicts of the lake's judges where they judged the same items.

        Raises SourceError if the file cannot be read, UsageError if there is nothing to compare.
        """
        items, kind = read(file)
        if kind == "pass" and snapshot.rows(Judgment.TABLE):
            with suppress(SourceError):  # labels of other answers, with judges of their own
                items = with_lake(items, lake, snapshot)
        return cls(items, compare(items, kind), file.name)

    def values(self) -> dict[str, Any]:
        """What the page needs."""
        return _values(self.items, self.found, self.source)


def differences(items: Sequence[Item], found: Agreement, source: str) -> str:
    """The page as HTML: the figures, then every item on which a judge differs from people, most differences first.

    Self-contained, no script. `source` names the file the labels came from.
    """
    return render("agreement", **_values(items, found, source))


def _values(items: Sequence[Item], found: Agreement, source: str) -> dict[str, Any]:
    judges = [figures.judge for figures in found.judges]
    shown = []
    for item in items:
        if item.truth is None:
            continue
        against = [judge for judge in judges if item.judges.get(judge) != item.truth]
        if against:
            shown.append((item, against, _shortened(item.turns)))
    shown.sort(key=lambda row: (-len(row[1]), row[0].id))
    return {
        "found": found, "shown": shown, "judges": judges, "source": source, "clip": _clip, "limit": _TEXT,
    }  # fmt: skip


def _shortened(turns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """First and last turns, each cut, with a note of how many are left out between them."""
    kept = [(who, _clip(text, _TURN)) for who, text in turns]
    if len(kept) <= _TURNS:
        return kept
    half = _TURNS // 2
    return [*kept[:half], ("", f"… {len(kept) - _TURNS} more turns …"), *kept[-half:]]


def _clip(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"
