"""NDCG, recall and completeness with binary relevance, by ir-measures (MacAvaney et al. 2022), which asks trec_eval."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

Scores = dict[str, dict[str, float]]
"""Metric, as in `ndcg@5`, → query id → score in [0, 1]."""


def scores(
    rankings: Mapping[str, Sequence[str]], qrels: Mapping[str, Collection[str]], ks: Sequence[int] = (1, 3, 5)
) -> Scores:
    """NDCG, recall and completeness at each of `ks` for every query of `qrels`.

    `rankings` and `qrels` go by query id. NDCG's gains are 1 or 0, the discount at rank r is log2(r + 1), and the ideal
    ranking is over all relevant APIs, retrieved or not (Järvelin and Kekäläinen 2002). Completeness is 1 where all of
    them are among the first k, else 0. A query without a ranking scores 0: leaving it out would flatter the model.

    Raises ValueError if a query has no relevant API, a k is below 1 or an id is ranked twice.
    """
    import ir_measures

    _check(rankings, qrels, ks)
    names = [f"{name}@{k}" for name in ("ndcg", "recall", "completeness") for k in ks]
    found: Scores = {name: dict.fromkeys(qrels, 0.0) for name in names}
    measures = {measure @ k: f"{name}@{k}" for name, measure in _measures().items() for k in ks}
    run = {q: _descending(rankings.get(q, ()), max(ks, default=1)) for q in qrels}
    wanted = {q: dict.fromkeys(relevant, 1) for q, relevant in qrels.items()}
    for value in ir_measures.iter_calc(list(measures), wanted, run):
        name = measures[value.measure]
        found[name][value.query_id] = float(value.value)
        if name.startswith("recall"):
            found[name.replace("recall", "completeness")][value.query_id] = float(value.value == 1.0)
    return found


def evaluate(
    rankings: Mapping[str, Sequence[str]], qrels: Mapping[str, Collection[str]], ks: Sequence[int] = (1, 3, 5)
) -> dict[str, Any]:
    """Mean and standard error over the queries of `qrels`: `{"queries": n, "ndcg@1": {"mean": …, "se": …}, …}`.

    `se` is None for a single query. Without queries the result is empty. Raises ValueError as `scores` does.
    """
    if not qrels:
        return {}
    return {"queries": len(qrels)} | {
        name: _summary([values[q] for q in sorted(values)]) for name, values in scores(rankings, qrels, ks).items()
    }


def _measures() -> dict[str, Any]:
    from ir_measures import R, nDCG

    return {"ndcg": nDCG, "recall": R}


def _descending(ranked: Sequence[str], depth: int) -> dict[str, float]:
    """Scores that give the ranking back: trec_eval sorts by score, and equal ones by id from the last."""
    return {api_id: float(-rank) for rank, api_id in enumerate(ranked[:depth])}


def _check(rankings: Mapping[str, Sequence[str]], qrels: Mapping[str, Collection[str]], ks: Sequence[int]) -> None:
    if any(k < 1 for k in ks):
        raise ValueError(f"k is {min(ks)}; it counts ranks from 1")
    for query, relevant in qrels.items():
        if not relevant:
            raise ValueError(f"query {query} has no relevant APIs and cannot be scored")
        first = rankings.get(query, ())[: max(ks, default=1)]
        if len(set(first)) < len(first):
            raise ValueError(f"an id is ranked twice for query {query}")


def _summary(values: list[float]) -> dict[str, float | None]:
    found = np.array(values)
    error = float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else None
    return {"mean": float(found.mean()), "se": error}
