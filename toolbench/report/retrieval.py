"""The retriever's figures: against what users would take instead, and before and after its training."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from toolbench.lake import Lake, Snapshot
from toolbench.report.charts import Bars, Share, bars
from toolbench.report.scan import query
from toolbench.report.tabular import Table
from toolbench.retriever import NEWEST

MAIN = "ndcg@5"

_SIDES = {"before": "Before", "metrics_before": "Before", "after": "After", "metrics_after": "After"}


@dataclass(frozen=True, slots=True)
class Retriever:
    """What the page shows; each part is None where the snapshot has no figures for it."""

    decision: str
    """Which model serves and why, in a sentence; empty where none was decided."""
    measured: Table | None
    compared: Bars | None
    trained: Table | None
    training: Bars | None

    @property
    def headline(self) -> str:
        """NDCG@5 over all held-out queries of the model that was trained last, or empty."""
        found = self.compared or self.training
        mine = (
            [b for b in found.bars if b.title.startswith("all, ") and b.name in ("trained", "After")] if found else []
        )
        return mine[-1].value if mine else ""


@dataclass(frozen=True, slots=True)
class _Figure:
    mean: float
    error: float | None
    """Standard error of the mean, where known."""
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.mean == int(self.mean) and self.mean > 1:
            return f"{int(self.mean):,}"
        if self.low is not None and self.high is not None:
            return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"
        return f"{self.mean:.3f}" + (f" ± {self.error:.3f}" if self.error is not None else "")


_Side = dict[str, dict[str, _Figure]]
"""slice → metric → figure."""


def retriever(lake: Lake, snapshot: Snapshot) -> Retriever:
    """What the snapshot says of its retriever. Figures are read tolerantly: what is none is left out."""
    entry, newest = snapshot.models.get("retriever"), snapshot.models.get(NEWEST)
    decision = newest.metrics.get("decision") if newest else None
    said = decision.get("sentence") if isinstance(decision, Mapping) else None
    compared = _named(newest.metrics.get("measured")) if newest else {}
    trained = _sides(entry.metrics) if entry else {}
    main = _main(trained)
    return Retriever(
        decision=said if isinstance(said, str) else "",
        measured=_table(
            lake, snapshot, "Models on held-out queries, all APIs to choose from (95% intervals)", "Model", compared,
            f"SELECT getvariable('manifest')->'$.models.{NEWEST}.metrics.measured' AS metrics",
        ),
        compared=_bars("compared", f"{_main(compared).upper()} on held-out queries", compared, _main(compared)),
        trained=_table(
            lake, snapshot, "Retriever on held-out queries, before and after training (mean ± standard error)",
            "Training", trained, "SELECT getvariable('manifest')->'$.models.retriever.metrics' AS metrics",
        ),
        training=_bars("training", f"{main.upper()} before and after training", trained, main),
    )  # fmt: skip


def _table(
    lake: Lake, snapshot: Snapshot, caption: str, heading: str, sides: Mapping[str, _Side], select: str
) -> Table | None:
    metrics = list(dict.fromkeys(m for side in sides.values() for slice_ in side.values() for m in slice_))
    slices = _slices(sides)
    rows = [
        [slice_, side, *(str(figures[slice_].get(m, "–")) for m in metrics)]
        for slice_ in slices
        for side, figures in sides.items()
        if slice_ in figures
    ]
    sql = query(lake, snapshot, [], select)
    return Table(caption, ["Slice", heading, *metrics], rows, sql, words=frozenset({1})) if rows else None


def _slices(sides: Mapping[str, _Side]) -> list[str]:
    """In the order of the figures, all queries first."""
    return sorted(dict.fromkeys(s for side in sides.values() for s in side), key=lambda name: name != "all")


def _bars(id_: str, title: str, sides: Mapping[str, _Side], metric: str) -> Bars | None:
    """Slices of a metric that at least two models were measured on."""
    groups: dict[str, dict[str, Share]] = {slice_: {} for slice_ in _slices(sides)}
    for name, side in sides.items():
        for slice_, figures in side.items():
            if (found := figures.get(metric)) and 0 <= found.mean <= 1:
                groups[slice_][name] = Share(found.mean, found.low, found.high)
    return bars(id_, title, {slice_: group for slice_, group in groups.items() if len(group) > 1})


def _main(sides: Mapping[str, _Side]) -> str:
    """NDCG@5, or the first metric that is a share."""
    found = [
        (metric, figure.mean)
        for side in sides.values()
        for figures in side.values()
        for metric, figure in figures.items()
    ]
    shares = [metric for metric, mean in found if 0 <= mean <= 1 and metric != "queries"]
    return MAIN if MAIN in shares or not shares else shares[0]


def _named(measured: Any) -> dict[str, _Side]:
    """Model → its figures."""
    return _told(measured, list(measured)) if isinstance(measured, Mapping) else {}


def _sides(metrics: Mapping[str, Any]) -> dict[str, _Side]:
    """The figures by side; any mapping of mappings does where none is called before or after."""
    return _told(metrics, [n for n in _SIDES if n in metrics] or list(metrics))


def _told(metrics: Mapping[str, Any], names: list[str]) -> dict[str, _Side]:
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
        ends = (float(value[n]) if _is_number(value.get(n)) else None for n in ("se", "low", "high"))
        yield path, _Figure(float(value["mean"]), *ends)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _figures(inner, (*path, str(name)))
    elif _is_number(value):
        yield path, _Figure(float(value), None, None, None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
