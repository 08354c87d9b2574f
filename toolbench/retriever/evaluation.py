"""Searchers measured on queries whose relevant APIs are known, and compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolbench.plots import Format, Point, bars
from toolbench.records import RetrievalPair
from toolbench.retriever.metrics import Scores, scores
from toolbench.retriever.ranking import Searcher
from toolbench.statistics import Estimate, bootstrap, difference

KS = (1, 3, 5)
MAIN = "ndcg@5"
"""What decides which model serves."""


@dataclass(frozen=True, slots=True)
class Queries:
    """Queries to measure with: ids in one order, texts and relevant API ids by id, and slices of them."""

    texts: dict[str, str]
    relevant: dict[str, set[str]]
    slices: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """`group` and `split` → name → query ids."""

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(cls, pairs: Sequence[RetrievalPair]) -> "Queries":
        """The queries of held-out pairs."""
        found = cls({}, {}, {"group": {}, "split": {}})
        for pair in sorted(pairs, key=lambda p: (p.query_id, p.api_id)):
            found.add(pair.query_id, pair.query, [pair.api_id], pair.group, pair.split)
        return found

    def add(self, query_id: str, text: str, relevant: Sequence[str], group: str, split: str) -> None:
        """One more query, or more relevant APIs of one that is there. An empty group or split is no slice."""
        if query_id not in self.texts:
            self.texts[query_id] = text
            for kind, name in (("group", group), ("split", split)):
                if name:
                    self.slices.setdefault(kind, {}).setdefault(name, []).append(query_id)
        self.relevant.setdefault(query_id, set()).update(relevant)

    def names(self) -> list[tuple[str, str, list[str]]]:
        """Kind, name and query ids of every slice, `all` first."""
        found = [("all", "all", list(self.texts))]
        for kind in ("group", "split"):
            found += [(kind, name, ids) for name, ids in sorted(self.slices.get(kind, {}).items())]
        return found


@dataclass(frozen=True, slots=True)
class Measured:
    """What one searcher scored on each query."""

    scores: Scores

    def summary(self, queries: Queries) -> dict[str, Any]:
        """`{"all": figures, "group": {"I1": figures, …}, "split": {…}}`.

        `figures` is `{"queries": n, "ndcg@5": {"mean": …, "se": …, "low": …, "high": …}, …}` with 95% bootstrap
        intervals over queries; `se` is None for a single query.
        """
        found: dict[str, Any] = {"group": {}, "split": {}}
        for kind, name, ids in queries.names():
            figures = {"queries": len(ids)} | {m: _figure(values, ids) for m, values in self.scores.items()}
            if kind == "all":
                found["all"] = figures
            else:
                found[kind][name] = figures
        return found


def measure(searcher: Searcher, queries: Queries, ks: Sequence[int] = KS) -> Measured:
    """Rank for every query, and score. Relevant APIs that the searcher does not know count as missed."""
    ids = list(queries.texts)
    ranked = searcher.rank([queries.texts[i] for i in ids], max(ks))
    rankings = {i: found.api_ids for i, found in zip(ids, ranked, strict=True)}
    return Measured(scores(rankings, queries.relevant, ks))


def compare(ours: Measured, theirs: Measured, metric: str = MAIN) -> Estimate | None:
    """The mean of `ours` minus that of `theirs` on the same queries, with a paired bootstrap interval; None if none.

    Raises ValueError if they were not measured on the same queries.
    """
    mine, other = ours.scores[metric], theirs.scores[metric]
    if mine.keys() != other.keys():
        raise ValueError("the two were measured on different queries")
    return difference([mine[q] for q in sorted(mine)], [other[q] for q in sorted(mine)])


def rows(measured: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a model and slice: `measured` is model → `Measured.summary`. Figures in percent, with their intervals."""
    found = []
    for model, summary in measured.items():
        slices = {"all": summary["all"], **summary["group"], **summary["split"]}
        for name, figures in slices.items():
            row = {"model": model, "slice": name, "queries": figures["queries"]}
            found.append(row | {m: _percent(figure) for m, figure in figures.items() if m != "queries"})
    return found


def plot(measured: Mapping[str, Mapping[str, Any]], form: Format = "svg", metric: str = MAIN) -> bytes:
    """Bars of one metric by group and over all queries, a series a model."""
    groups = [*sorted({g for summary in measured.values() for g in summary["group"]}), "all"]
    series = {model: [_point(_slice(summary, g), metric) for g in groups] for model, summary in measured.items()}
    return bars(
        groups, series, title=f"{metric.upper()} of held-out queries", y=metric.upper(), form=form, percent=True
    )


def _slice(summary: Mapping[str, Any], group: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = summary["all"] if group == "all" else summary["group"].get(group)
    return found


def _point(figures: Mapping[str, Any] | None, metric: str) -> Point | None:
    if figures is None:
        return None
    figure = figures[metric]
    return Point(0, figure["mean"], figure["low"], figure["high"])


def _figure(values: Mapping[str, float], ids: Sequence[str]) -> dict[str, float | None]:
    found = [values[i] for i in sorted(ids)]
    estimate = bootstrap(found)
    if estimate is None:
        return {}
    n = len(found)
    spread = sum((v - estimate.mean) ** 2 for v in found) / (n - 1) if n > 1 else None
    error = (spread / n) ** 0.5 if spread is not None else None
    return {"mean": estimate.mean, "se": error, "low": estimate.low, "high": estimate.high}


def _percent(figure: Mapping[str, float]) -> str:
    return f"{100 * figure['mean']:.1f} ({100 * figure['low']:.1f} to {100 * figure['high']:.1f})"
