"""Batches in which no document is taken for a negative of a query that it is relevant to."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from toolbench.records import RetrievalPair

Shuffle = Callable[[list[Any]], None]


def plan(
    pairs: Sequence[RetrievalPair], batch_size: int, epochs: int, seed: int, *, together: bool = False
) -> list[list[int]]:
    """All batches of a training run in order, as positions in `pairs`: fixed before the first step.

    Apart, a batch is as many as `batch_size` pairs, of which none's document is relevant to another's query, by API and
    by text; this rules out a shared query and a shared document too. Each epoch shuffles the pairs and fills batch
    after batch with the next ones that fit. `together`, a batch is `batch_size` queries, each with all of its pairs: a
    query is encoded once for all its APIs, an API once for all its queries, and the loss leaves out what is relevant.

    A batch in which nothing is a negative teaches nothing, and is left out.
    """
    batches: list[list[int]] = []
    for epoch in range(epochs):
        # Not `random.Random((seed, epoch))`: hashing a tuple is no promise across versions, a string seed is.
        shuffle = random.Random(f"{seed}/{epoch}").shuffle
        batches += _of_queries(pairs, batch_size, shuffle) if together else _of_pairs(pairs, batch_size, shuffle)
    return batches


def relevant_names(pairs: Sequence[RetrievalPair]) -> dict[str, set[str]]:
    """For each query, the names (see `names`) of everything relevant to it."""
    relevant: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        relevant[pair.query].update(names(pair.api_id, pair.document))
    return relevant


def names(api_id: str, document: str) -> set[str]:
    """What identifies a document: two APIs may read the same, and one API may read differently every night."""
    return {f"id {api_id}", f"text {document}"}


def _of_pairs(pairs: Sequence[RetrievalPair], batch_size: int, shuffle: Shuffle) -> Iterator[list[int]]:
    relevant = relevant_names(pairs)
    waiting = list(range(len(pairs)))
    shuffle(waiting)
    while waiting:
        batch, waiting = _fill(waiting, pairs, relevant, batch_size)
        if len(batch) > 1:
            yield batch


def _of_queries(pairs: Sequence[RetrievalPair], batch_size: int, shuffle: Shuffle) -> Iterator[list[int]]:
    of: dict[str, list[int]] = {}
    for position, pair in enumerate(pairs):
        of.setdefault(pair.query, []).append(position)
    queries = list(of)
    shuffle(queries)
    for start in range(0, len(queries), batch_size):
        batch = [position for query in queries[start : start + batch_size] for position in of[query]]
        if len({pairs[p].query for p in batch}) > 1 and len({pairs[p].document for p in batch}) > 1:
            yield batch


def _fill(
    waiting: list[int], pairs: Sequence[RetrievalPair], relevant: dict[str, set[str]], batch_size: int
) -> tuple[list[int], list[int]]:
    """The next batch, and who still waits, in order."""
    batch: list[int] = []
    deferred: list[int] = []
    documents: set[str] = set()
    claimed: set[str] = set()
    for position, index in enumerate(waiting):
        if len(batch) == batch_size:
            return batch, deferred + waiting[position:]
        offered, wanted = names(pairs[index].api_id, pairs[index].document), relevant[pairs[index].query]
        if offered.isdisjoint(claimed) and wanted.isdisjoint(documents):
            batch.append(index)
            documents |= offered
            claimed |= wanted
        else:
            deferred.append(index)
    return batch, deferred
