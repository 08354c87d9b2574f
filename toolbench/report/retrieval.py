"""The retriever's figures before and after training, as a table and as bars."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolbench.lake import Lake, Snapshot
from toolbench.report.scan import query
from toolbench.report.tabular import Table

_SIDES = {"before": "Before", "metrics_before": "Before", "after": "After", "metrics_after": "After"}
_LINE, _TOP, _LEFT, _SCALE = 46, 26, 96, 270
"""Bar chart, in SVG user units: height of a slice, head room, start of the bars, length of 1.0."""


@dataclass(frozen=True, slots=True)
class _Figure:
    mean: float
    error: float | None
    """Standard error of the mean, where known."""

    def __str__(self) -> str:
        if self.mean == int(self.mean) and self.mean > 1:
            return f"{int(self.mean):,}"
        return f"{self.mean:.3f}" + (f" ± {self.error:.3f}" if self.error is not None else "")


_Side = dict[str, dict[str, _Figure]]
"""slice → metric → figure."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the chart, in SVG user units."""

    name: str
    y: int
    width: float
    value: str
    after: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """A bar chart of one metric over the slices, before and after."""

    title: str
    description: str
    slices: Sequence[tuple[str, int]]
    """Name and y of each pair of bars."""
    bars: Sequence[Bar]
    ticks: Sequence[tuple[str, float]]
    left: int
    top: int
    height: int


def retriever(lake: Lake, snapshot: Snapshot) -> tuple[Table | None, Chart | None]:
    """What the published retriever was measured at; None without a retriever or without figures."""
    entry = snapshot.models.get("retriever")
    sides = _sides(entry.metrics) if entry else {}
    metrics = list(dict.fromkeys(m for side in sides.values() for slice_ in side.values() for m in slice_))
    if not metrics:
        return None, None
    slices = list(dict.fromkeys(s for side in sides.values() for s in side))
    rows = [
        [slice_, side, *(str(figures[slice_].get(m, "–")) for m in metrics)]
        for slice_ in slices
        for side, figures in sides.items()
        if slice_ in figures
    ]
    table = Table(
        "Retriever on held-out queries, before and after training (mean ± standard error)",
        ["Slice", "Training", *metrics],
        rows,
        query(lake, snapshot, [], "SELECT getvariable('manifest')->'$.models.retriever.metrics' AS metrics"),
        words=frozenset({1}),
    )
    return table, _chart(sides, slices, metrics)


def _sides(metrics: Mapping[str, Any]) -> dict[str, _Side]:
    """The figures by side; any mapping of mappings does where none is called before or after."""
    names = [n for n in _SIDES if n in metrics] or list(metrics)
    sides: dict[str, _Side] = {}
    for name in names:
        side: _Side = {}
        for path, figure in _figures(metrics[name], ()):
            *slice_, metric = path or (name,)
            side.setdefault(" ".join(slice_) or "all", {})[metric] = figure
        if side:
            sides[_SIDES.get(name, name)] = side
    return sides


def _figures(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], _Figure]]:
    if isinstance(value, Mapping) and _is_number(value.get("mean")):
        error = value.get("se")
        yield path, _Figure(float(value["mean"]), float(error) if _is_number(error) else None)  # type: ignore[arg-type]
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _figures(inner, (*path, str(name)))
    elif _is_number(value):
        yield path, _Figure(float(value), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _chart(sides: Mapping[str, _Side], slices: list[str], metrics: list[str]) -> Chart | None:
    """Bars of NDCG@5, or of the first metric that is a share, for the slices measured before and after."""
    before, after = sides.get("Before", {}), sides.get("After", {})
    both = [s for s in slices if s in before and s in after]
    shares = [
        m for m in metrics
        if both and all(m in side[s] and 0 <= side[s][m].mean <= 1 for side in (before, after) for s in both)
    ]  # fmt: skip
    if not shares:
        return None
    metric = "ndcg@5" if "ndcg@5" in shares else shares[0]
    bars, labels, words = [], [], []
    for position, name in enumerate(both):
        y = _TOP + position * _LINE
        labels.append((name, y))
        for side, figures, offset in (("before", before, 0), ("after", after, 17)):
            mean = figures[name][metric].mean
            bars.append(Bar(side, y + offset, round(mean * _SCALE, 1), f"{mean:.3f}", side == "after"))
        words.append(f"{name}: {before[name][metric].mean:.3f} before, {after[name][metric].mean:.3f} after")
    ticks = [(f"{t:g}", _LEFT + t * _SCALE) for t in (0, 0.25, 0.5, 0.75, 1)]
    height = _TOP + len(both) * _LINE
    return Chart(
        f"{metric} before and after training", "; ".join(words) + ".", labels, bars, ticks, _LEFT, _TOP, height
    )
