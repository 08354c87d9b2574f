"""NDCG and recall with binary relevance, as the paper reports them, with their standard errors."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def ndcg(ranked_ids: Sequence[str], relevant: Collection[str], k: int) -> float:
    """NDCG@k in [0, 1]: gains are 1 or 0, the discount at rank r is log2(r + 1) (Järvelin and Kekäläinen 2002).

    The ideal ranking is over all relevant APIs, retrieved or not. Raises ValueError if `relevant` is empty, `k` is
    below 1 or an id is ranked twice.
    """
    hits = _hits(ranked_ids, relevant, k)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    return float(discounts[: len(hits)] @ hits / discounts[: len(set(relevant))].sum())


def recall(ranked_ids: Sequence[str], relevant: Collection[str], k: int) -> float:
    """The share of the relevant APIs among the first k. Raises ValueError as `ndcg` does."""
    return float(_hits(ranked_ids, relevant, k).sum() / len(set(relevant)))


def evaluate(
    rankings: Mapping[str, Sequence[str]], qrels: Mapping[str, Collection[str]], ks: Sequence[int] = (1, 3, 5)
) -> dict[str, Any]:
    """Mean and standard error over the queries of `qrels`: `{"queries": n, "ndcg@1": {"mean": …, "se": …}, …}`.

    `rankings` and `qrels` go by query id. A query without a ranking scores 0: leaving it out would flatter the model.
    `se` is None for a single query. Without queries the result is empty.
    """
    if not qrels:
        return {}
    figures: dict[str, Any] = {"queries": len(qrels)}
    for name, metric in (("ndcg", ndcg), ("recall", recall)):
        for k in ks:
            figures[f"{name}@{k}"] = _summary([metric(rankings.get(q, ()), qrels[q], k) for q in sorted(qrels)])
    return figures


def _hits(ranked_ids: Sequence[str], relevant: Collection[str], k: int) -> npt.NDArray[np.float64]:
    """1.0 where one of the first k is relevant; shape (min(k, ranked),)."""
    if k < 1:
        raise ValueError(f"k is {k}; it counts ranks from 1")
    if not relevant:
        raise ValueError("a query without relevant APIs cannot be scored")
    first = ranked_ids[:k]
    if len(set(first)) < len(first):
        raise ValueError("an id is ranked twice")
    wanted = set(relevant)
    return np.array([i in wanted for i in first], dtype=np.float64)


def _summary(values: list[float]) -> dict[str, float | None]:
    scores = np.array(values)
    error = float(scores.std(ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else None
    return {"mean": float(scores.mean()), "se": error}
