"""The ways to find APIs for a query: by embedding, by words, by both."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from toolbench.encoder import Encoder, Floats, Progress
from toolbench.lake import Lake
from toolbench.retriever.embeddings import Embedded, EmbeddingCache, identity
from toolbench.retriever.index import Index
from toolbench.retriever.lexical import Bm25Index
from toolbench.retriever.ranking import Mask, Ranking, Scores, combine, fuse
from toolbench.retriever.sentences import with_sentences
from toolbench.settings import FusionSettings

DEPTH = 50
"""Ranks by the whole query that are looked at again, sentence by sentence: no more than the index searches quickly."""
SENTENCE = 1 / 3
"""What the cosine of the sentence that suits an API best counts; that of the whole query counts the rest."""

Read = tuple[Floats, list[Floats]]
"""A query's embedding, and those of its sentences if it has several."""


class Dense:
    """Nearest embeddings. Scores are cosines, -1 to 1.

    Of a query of several sentences, the nearest by the whole are ranked by it and by the sentence that suits each best:
    the whole is a mixture of all that is asked for, and near to what suits none of it.
    """

    def __init__(self, embed: Callable[[Sequence[str]], Floats], index: Index) -> None:
        """`embed` gives queries' embeddings, shape (queries, dimensions)."""
        self._embed, self.index = embed, index
        self.api_ids = index.api_ids

    def rank(self, queries: Sequence[str], k: int, allowed: Mask | None = None) -> list[Ranking]:
        """See `Searcher`."""
        return self.nearest(self.read(queries), k, allowed)

    def read(self, queries: Sequence[str]) -> list[Read]:
        """The embeddings of queries and of their sentences."""
        return with_sentences(queries, lambda texts: list(self._embed(texts))) if queries else []

    def nearest(self, queries: Sequence[Read], k: int, allowed: Mask | None = None) -> list[Ranking]:
        """What `rank` gives, for queries that were read."""
        if not queries:
            return []
        depth = max(k, DEPTH) if any(parts for _, parts in queries) else k
        ids, scores = self.index.search(np.stack([whole for whole, _ in queries]), depth, allowed)
        return [
            self._again(query, found, k) if query[1] else Ranking(found[:k], [float(s) for s in row[:k]])
            for query, found, row in zip(queries, ids, scores, strict=True)
        ]

    def scores(self, query: Read, api_ids: Sequence[str]) -> Floats:
        """The scores of some APIs for a query, shape (api_ids,)."""
        whole, parts = query
        found = self.index.products(np.stack([whole, *parts]), api_ids)
        scores: Floats = (1 - SENTENCE) * found[0] + SENTENCE * found[1:].max(axis=0) if parts else found[0]
        return scores

    def _again(self, query: Read, found: list[str], k: int) -> Ranking:
        """The best k of those found by the whole query."""
        scores = self.scores(query, found)
        order = sorted(range(len(found)), key=lambda i: (-scores[i], found[i]))[:k]
        return Ranking([found[i] for i in order], [float(scores[i]) for i in order])


class Hybrid:
    """BM25 and a dense searcher over the same APIs, fused as settings say."""

    def __init__(self, dense: Dense, bm25: Bm25Index, fusion: FusionSettings) -> None:
        """Raises ValueError if the two know different APIs."""
        if dense.api_ids != bm25.api_ids:
            raise ValueError("the embeddings and the words are of different APIs")
        self._dense, self._bm25, self._fusion = dense, bm25, fusion
        self.api_ids = bm25.api_ids

    def rank(self, queries: Sequence[str], k: int, allowed: Mask | None = None) -> list[Ranking]:
        """See `Searcher`. Scores order, and mean nothing else."""
        depth = max(k, self._fusion.depth)
        read = self._dense.read(queries)
        both = zip(read, self._dense.nearest(read, depth, allowed), self._bm25.scored(queries), strict=True)
        return [self._fused(query, near, words, depth, k, allowed) for query, near, words in both]

    def _fused(self, query: Read, near: Ranking, words: Scores, depth: int, k: int, allowed: Mask | None) -> Ranking:
        """`near` are the best by embedding, `words` the scores of all APIs by words."""
        fusion, first = self._fusion, self._bm25.first(words, depth, allowed)
        if fusion.method == "ranks":
            return fuse([near.api_ids, first.api_ids], (1.0, fusion.bm25_weight), fusion.constant, k)
        # What one side alone has found has a score by the other, too.
        found = sorted({*near.api_ids, *first.api_ids})
        rows = [bisect_left(self.api_ids, api_id) for api_id in found]
        return combine(found, self._dense.scores(query, found), words[rows], fusion.bm25_weight, k)


def dense_over(
    lake: Lake, encoder: Encoder, corpus: Mapping[str, str], progress: Progress | None = None
) -> tuple[Dense, Embedded]:
    """A dense searcher over `corpus` (API id → document), and what its documents cost.

    Embeddings that the lake has are not made again, those of queries neither.
    """
    cache = EmbeddingCache(lake, identity(encoder))
    made = cache.embed(encoder, list(corpus.values()), progress)
    return Dense(lambda queries: cache.embed(encoder, queries).vectors, Index(list(corpus), made.vectors)), made
