"""Hard negatives: other APIs of a relevant API's tool, and what the encoder ranks high although it is not relevant."""

import random
from collections.abc import Mapping, Sequence

import numpy as np

from toolbench.encoder import Encoder, Progress
from toolbench.records import RetrievalPair
from toolbench.retriever.batching import names, relevant_names
from toolbench.retriever.index import Index

Negatives = dict[str, list[str]]
"""By query, API ids."""

_DEPTH = 100
"""Ranks that are looked through for mined negatives; below, a document is no harder than a batch's others."""


class Siblings:
    """Draws negatives for a query from the tools of its relevant APIs."""

    def __init__(self, pairs: Sequence[RetrievalPair], documents: Mapping[str, str]) -> None:
        """`documents` maps API ids, `<tool id>/<API>`, to documents."""
        tools: dict[str, list[str]] = {}
        for api_id in sorted(documents):
            tools.setdefault(tool_of(api_id), []).append(api_id)
        relevant = relevant_names(pairs)
        of: dict[str, dict[str, None]] = {}
        for pair in pairs:
            of.setdefault(pair.query, {})[tool_of(pair.api_id)] = None
        self._candidates = {
            query: [
                i for tool in mine for i in tools.get(tool, ()) if relevant[query].isdisjoint(names(i, documents[i]))
            ]
            for query, mine in of.items()
        }

    def draw(self, query: str, count: int, seed: str) -> list[str]:
        """At most `count` of them, the same for the same seed."""
        candidates = self._candidates[query]
        return random.Random(f"{seed}/{query}").sample(candidates, min(count, len(candidates)))


def mine(
    encoder: Encoder,
    pairs: Sequence[RetrievalPair],
    documents: Mapping[str, str],
    count: int,
    margin: float,
    progress: Progress | None = None,
) -> Negatives:
    """For each query of `pairs`, the best `count` documents that are not relevant and score below the margin.

    The margin is a share of the score of the query's own worst relevant document (positive-aware mining, Moreira et al.
    2024): what scores as well as that is probably relevant too, and nobody said so. sentence-transformers' own
    `mine_hard_negatives` knows one positive a row, and would take a query's other relevant APIs for negatives.
    """
    relevant = relevant_names(pairs)
    queries = list(relevant)
    texts = dict(documents) | {p.api_id: p.document for p in pairs}
    index = Index(list(texts), encoder.encode(list(texts.values()), progress))
    vectors = encoder.encode(queries)
    rows = {api_id: row for row, api_id in enumerate(index.api_ids)}
    mine_of: dict[str, list[int]] = {}
    for pair in pairs:
        mine_of.setdefault(pair.query, []).append(rows[pair.api_id])
    found, scores = index.search(vectors, _DEPTH)
    out: Negatives = {}
    for number, query in enumerate(queries):
        worst = float(np.min(index.embeddings[mine_of[query]] @ vectors[number]))
        out[query] = [
            api_id
            for api_id, score in zip(found[number], scores[number], strict=True)
            if score < worst - (1 - margin) * abs(worst) and relevant[query].isdisjoint(names(api_id, texts[api_id]))
        ][:count]
    return out


def tool_of(api_id: str) -> str:
    """The tool's id in an API's: `Weather/sky/rain` → `Weather/sky`."""
    return api_id.rpartition("/")[0]
