"""How long instructions are: quantiles as a table, the distribution as bars."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolbench.lake import Lake, Snapshot
from toolbench.records import Instruction
from toolbench.report.scan import named, query
from toolbench.report.tabular import Table, number

BARS = 24
"""Bars a group at most."""

_SHARES = (0.1, 0.5, 0.9)
_STEPS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000)
_LEFT, _WIDTH, _HEIGHT, _GAP = 34, 586, 64, 30
"""Of the drawing: room for names, width of all bars, height of the highest, room below them."""

Words = Mapping[str, Counter[int]]
"""Per group, instructions by their number of words."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Instructions of some lengths, with their place in the drawing."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """The bars of one group, over their base line."""

    name: str
    base: int
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Chart:
    """A histogram a group, one below the other over the same axis; each is as high as its highest bar."""

    step: int
    width: int
    height: int
    left: int
    rows: Sequence[Row]
    ticks: Sequence[tuple[int, float]]
    """Words, and where they stand."""


def lengths(lake: Lake, snapshot: Snapshot, words: Words) -> Table:
    """Shortest, longest and quantiles by group, in words."""
    rows = [_row(named(group), words[group]) for group in sorted(words)]
    rows.append(_row("All", sum(words.values(), Counter())))
    quantiles = ", ".join(f'quantile_disc(words, {share}) AS "{share:.0%}"' for share in _SHARES)
    select = f"""
WITH texts AS (
  SELECT "group", len(list_filter(string_split_regex(text, '\\s+'), lambda w: w <> '')) AS words FROM {{instructions}}
)
SELECT "group", min(words) AS shortest, {quantiles}, max(words) AS longest, round(avg(words), 1) AS mean
FROM texts
GROUP BY ROLLUP ("group") ORDER BY grouping("group"), "group"
"""  # noqa: S608
    return Table(
        "Length in words, by group",
        ["Group", "Shortest", *("Median" if s == 0.5 else f"{s:.0%} are up to" for s in _SHARES), "Longest", "Mean"],
        rows,
        query(lake, snapshot, [Instruction.TABLE], select),
        total=True,
    )


def chart(words: Words) -> Chart:
    """The distribution of lengths by group."""
    longest = max(max(counts) for counts in words.values())
    step = next((s for s in _STEPS if longest // s < BARS), math.ceil((longest + 1) / BARS))
    bars = longest // step + 1
    wide = _WIDTH / bars
    rows = []
    for place, group in enumerate(sorted(words)):
        base = place * (_HEIGHT + _GAP) + _HEIGHT + 10
        sums = Counter[int]()
        for length, n in words[group].items():
            sums[length // step] += n
        highest = max(sums.values())
        drawn = [
            Bar(
                x=round(_LEFT + i * wide + 0.5, 1),
                y=round(base - _HEIGHT * n / highest, 1),
                width=round(wide - 1, 1),
                height=round(_HEIGHT * n / highest, 1),
                title=f"{_range(i * step, step)} words: {number(n)}",
            )
            for i, n in sorted(sums.items())
        ]
        rows.append(Row(named(group), base, drawn))
    every = -(-bars // 12)
    ticks = [(i * step, round(_LEFT + i * wide, 1)) for i in range(0, bars + 1, every)]
    return Chart(step, _LEFT + _WIDTH + 20, len(words) * (_HEIGHT + _GAP) + 6, _LEFT, rows, ticks)


def quantile(counts: Mapping[int, int], share: float) -> int:
    """The smallest value that at least `share` of all are not above."""
    wanted, seen = math.ceil(share * sum(counts.values())), 0
    for value, n in sorted(counts.items()):
        seen += n
        if seen >= wanted:
            return value
    raise ValueError("there are no values")


def _row(heading: str, counts: Counter[int]) -> list[str]:
    mean = sum(length * n for length, n in counts.items()) / counts.total()
    quantiles = (number(quantile(counts, share)) for share in _SHARES)
    return [heading, number(min(counts)), *quantiles, number(max(counts)), f"{mean:,.1f}"]


def _range(first: int, step: int) -> str:
    return str(first) if step == 1 else f"{first} to {first + step - 1}"
