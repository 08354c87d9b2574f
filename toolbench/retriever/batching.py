"""Batches in which every document but its own is a true negative for every query."""

import random
from collections import defaultdict
from collections.abc import Sequence

from toolbench.records import RetrievalPair


def plan(pairs: Sequence[RetrievalPair], batch_size: int, epochs: int, seed: int) -> list[list[int]]:
    """All batches of a training run in order, as positions in `pairs`: fixed before the first step.

    The loss takes a batch's other documents as negatives, but a query may have several relevant APIs. So two pairs
    share a batch only if neither's document is relevant to the other's query, by API and by text; this rules out a
    shared query and a shared document too. Each epoch shuffles the pairs and fills batch after batch with the next ones
    that fit. A pair that would be alone in its batch has no negatives, teaches nothing, and is left out of that epoch.
    """
    relevant: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        relevant[pair.query].update(_names(pair))
    batches: list[list[int]] = []
    for epoch in range(epochs):
        # Not `random.Random((seed, epoch))`: hashing a tuple is no promise across versions, a string seed is.
        waiting = list(range(len(pairs)))
        random.Random(f"{seed}/{epoch}").shuffle(waiting)
        while waiting:
            batch, waiting = _fill(waiting, pairs, relevant, batch_size)
            if len(batch) > 1:
                batches.append(batch)
    return batches


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
        names, wanted = _names(pairs[index]), relevant[pairs[index].query]
        if names.isdisjoint(claimed) and wanted.isdisjoint(documents):
            batch.append(index)
            documents |= names
            claimed |= wanted
        else:
            deferred.append(index)
    return batch, deferred


def _names(pair: RetrievalPair) -> set[str]:
    """What identifies the document: two APIs may read the same, and one API may read differently every night."""
    return {f"id {pair.api_id}", f"text {pair.document}"}
