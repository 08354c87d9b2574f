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


def combine(dense: Ranking, words: Ranking, weight: float, k: int) -> Ranking:
    """The sum of `dense`'s scores and of `weight` times `words`' as shares of their best (Bruch, Gai and Ingber 2023).

    What only `words` holds counts with the lowest score of `dense`, which it does not exceed; what only `dense` holds
    shares no word with the query, or few. Among equal scores those that `dense` holds come first, then it goes by id.
    """
    lowest, highest = min(dense.scores, default=0.0), max(words.scores, default=1.0)
    scores = dict.fromkeys(words.api_ids, lowest) | dict(zip(dense.api_ids, dense.scores, strict=True))
    for api_id, score in zip(words.api_ids, words.scores, strict=True):
        scores[api_id] += weight * score / highest
    held = set(dense.api_ids)
    first = sorted(scores, key=lambda api_id: (-scores[api_id], api_id not in held, api_id))[:k]
    return Ranking(first, [scores[api_id] for api_id in first])
