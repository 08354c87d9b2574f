"""Ranked API ids: what every searcher gives, the order among equals, and the fusion of rankings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
"""Shape (APIs,), in the order of a searcher's `api_ids`: those that may be found."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """API ids with their scores, best first."""

    api_ids: list[str]
    scores: list[float]


class Searcher(Protocol):
    """What finds the APIs for queries. `api_ids` is ascending: among equal scores the lower id comes first."""

    api_ids: list[str]

    def rank(self, queries: Sequence[str], k: int, allowed: Mask | None = None) -> list[Ranking]:
        """The best k APIs at most for each query; only those that are `allowed`, if that is given."""
        ...


def best(row: npt.NDArray[Any], k: int) -> npt.NDArray[np.intp]:
    """Positions of the k largest of `row` at most, largest first, equal ones by position.

    A partition alone would draw at random among those that tie at the cut; all of them are taken, then sorted stably.
    """
    k = min(k, len(row))
    if k == 0:
        return np.empty(0, dtype=np.intp)
    cut = np.partition(row, len(row) - k)[len(row) - k]
    candidates = np.flatnonzero(row >= cut)
    return candidates[np.argsort(-row[candidates], kind="stable")][:k]


def fuse(rankings: Sequence[Sequence[str]], weights: Sequence[float], constant: int, k: int) -> Ranking:
    """Reciprocal-rank fusion (Cormack, Clarke and Büttcher 2009) of several rankings of one query.

    An id scores the sum of weight / (constant + rank) over the rankings that hold it, ranks from 1; equal scores go by
    id. Raises ValueError if there is not one weight a ranking.
    """
    scores: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, api_id in enumerate(ranking, start=1):
            scores[api_id] = scores.get(api_id, 0.0) + weight / (constant + rank)
    first = sorted(scores, key=lambda api_id: (-scores[api_id], api_id))[:k]
    return Ranking(first, [scores[api_id] for api_id in first])


def combine(api_ids: Sequence[str], dense: Scores, words: Scores, weight: float, k: int) -> Ranking:
    """The best k by a model's scores and `weight` times BM25's as shares of the best one (Bruch, Gai and Ingber 2023).

    Both have shape (api_ids,). Equal scores go by id.
    """
    scores = dense + weight * words / (float(words.max(initial=0)) or 1.0)
    first = sorted(range(len(api_ids)), key=lambda i: (-scores[i], api_ids[i]))[:k]
    return Ranking([api_ids[i] for i in first], [float(scores[i]) for i in first])
