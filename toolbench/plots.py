"""Plots as SVG or PNG, in one look, drawn without a display."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's (2008): told apart by colour-blind readers too."""
_MARKS = ("o", "s", "^", "D", "v", "P", "X")

Format = Literal["svg", "png"]


@dataclass(frozen=True, slots=True)
class Point:
    """A point with the ends of its intervals, where there are any."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    x_low: float | None = None
    x_high: float | None = None
    label: str = ""


def lines(
    series: Mapping[str, Sequence[Point]], *, title: str, x: str, y: str, form: Format = "svg", percent: bool = False
) -> bytes:
    """Each series as a line through its points, with whiskers where a point has ends. `percent`: y runs from 0 to 1."""
    return _drawn(series, title, x, y, form, percent, joined=True)


def scatter(
    series: Mapping[str, Sequence[Point]], *, title: str, x: str, y: str, form: Format = "svg", percent: bool = False
) -> bytes:
    """Each series as separate points, labelled where they have a label."""
    return _drawn(series, title, x, y, form, percent, joined=False)


def bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[Point | None]],
    *,
    title: str,
    y: str,
    form: Format = "svg",
    percent: bool = False,
) -> bytes:
    """One bar a series in each group; a point's `x` does not count, None leaves a gap.

    Raises ValueError if a series has not one point a group.
    """
    if bad := next((name for name, points in series.items() if len(points) != len(groups)), None):
        raise ValueError(f"series {bad} has {len(series[bad])} points for {len(groups)} groups")
    figure, axes = _canvas(title, "", y, percent)
    width = 0.8 / max(1, len(series))
    for place, (name, points) in enumerate(series.items()):
        shown = [(i + (place - (len(series) - 1) / 2) * width, p) for i, p in enumerate(points) if p]
        axes.bar([at for at, _ in shown], [p.y for _, p in shown], width, label=name, color=_colour(place))
        for at, point in shown:
            if point.low is not None and point.high is not None:
                axes.vlines(at, point.low, point.high, color="#222222", linewidth=1)
    axes.set_xticks(range(len(groups)), groups)
    return _bytes(figure, axes, form, len(series))


def _drawn(
    series: Mapping[str, Sequence[Point]], title: str, x: str, y: str, form: Format, percent: bool, *, joined: bool
) -> bytes:
    figure, axes = _canvas(title, x, y, percent)
    for place, (name, points) in enumerate(series.items()):
        colour = _colour(place)
        style = "-" if joined else ""
        mark = _MARKS[place % len(_MARKS)]
        axes.plot([p.x for p in points], [p.y for p in points], style, marker=mark, color=colour, label=name)
        for p in points:
            if p.low is not None and p.high is not None:
                axes.vlines(p.x, p.low, p.high, color=colour, linewidth=1)
            if p.x_low is not None and p.x_high is not None:
                axes.hlines(p.y, p.x_low, p.x_high, color=colour, linewidth=1)
            if p.label:
                axes.annotate(p.label, (p.x, p.y), xytext=(6, 6), textcoords="offset points", fontsize=8)
    return _bytes(figure, axes, form, len(series))


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]


def _canvas(title: str, x: str, y: str, percent: bool) -> "tuple[Any, Axes]":
    # Without pyplot: no global state, no display, and figures are freed with their last reference.
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(7.2, 4.3), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=11, loc="left", parse_math=False)
    axes.set_xlabel(x, parse_math=False)
    axes.set_ylabel(y, parse_math=False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if percent:
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure, axes


def _bytes(figure: Any, axes: "Axes", form: Format, series: int) -> bytes:
    from matplotlib import rc_context

    if series:
        # Below the axes: inside, it would lie on bars that reach 100%.
        columns = min(4, series)
        for text in figure.legend(loc="outside lower center", ncols=columns, fontsize=8, frameon=False).get_texts():
            text.set_parse_math(False)
    target = io.BytesIO()
    # A fixed salt and no date: the same figures give the same bytes.
    with rc_context({"svg.hashsalt": "toolbench", "svg.fonttype": "none"}):
        figure.savefig(target, format=form, dpi=110, metadata={"Date": None} if form == "svg" else {"Software": None})
    return target.getvalue()
