"""Bars of shares with their intervals, as a drawing that follows the page's colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEFT, SCALE = 104, 236
"""In SVG user units: where bars start, how long a share of 1 is. The whole is 420 wide."""

_BAR, _HEAD, _GAP, _TOP = 17, 20, 10, 24
_NAME = 15
"""Characters of a name beside its bar."""

SERIES = 6
"""Colours there are; further series begin again."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share, 0 to 1, with the ends of its interval where they are known."""

    mean: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{100 * self.mean:.1f}%"
        return f"{100 * self.mean:.1f}% ({100 * self.low:.1f} to {100 * self.high:.1f})"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar."""

    name: str
    """All of it, for the tool tip."""
    short: str
    series: int
    y: int
    width: float
    low: float | None
    high: float | None
    """Ends of the interval, in user units."""
    value: str
    title: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Groups of bars, one below the other; each bar has its name and its value beside it."""

    id: str
    title: str
    description: str
    heads: Sequence[tuple[str, int]]
    """Name and base line of each group."""
    bars: Sequence[Bar]
    ticks: Sequence[tuple[str, float]]
    height: int


def bars(id_: str, title: str, groups: Mapping[str, Mapping[str, Share]]) -> Bars | None:
    """A bar a series in every group; the same series has the same colour in all. None without any bar."""
    series = list(dict.fromkeys(name for group in groups.values() for name in group))
    heads, drawn, said = [], [], []
    y = _TOP
    for heading, group in groups.items():
        if not group:
            continue
        heads.append((heading, y + 13))
        y += _HEAD
        for name, share in group.items():
            drawn.append(_bar(name, series.index(name), y, share, heading))
            y += _BAR
        y += _GAP
        said.append(f"{heading}: " + ", ".join(f"{name} {share}" for name, share in group.items()))
    ticks = [(f"{t}%", LEFT + t * SCALE / 100) for t in (0, 25, 50, 75, 100)]
    return Bars(id_, title, "; ".join(said) + ".", heads, drawn, ticks, y) if drawn else None


def _bar(name: str, series: int, y: int, share: Share, heading: str) -> Bar:
    short = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
    low, high = (None if end is None else _x(end) for end in (share.low, share.high))
    width = round(_x(share.mean) - LEFT, 1)
    return Bar(
        name, short, series % SERIES, y, width, low, high, f"{100 * share.mean:.1f}%", f"{heading}, {name}: {share}"
    )


def _x(share: float) -> float:
    return round(LEFT + SCALE * min(max(share, 0.0), 1.0), 1)
