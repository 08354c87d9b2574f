"""The ways to find APIs for a query: by embedding, by words, by both."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from toolbench.encoder import Encoder, Floats, Progress
from toolbench.lake import Lake
from toolbench.retriever.embeddings import Embedded, EmbeddingCache, identity
from toolbench.retriever.index import Index
from toolbench.retriever.lexical import Bm25Index
from toolbench.retriever.ranking import Mask, Ranking, Searcher, combine, fuse
from toolbench.retriever.sentences import with_sentences
from toolbench.settings import FusionSettings

DEPTH = 50
"""Ranks by the whole query that are looked at again, sentence by sentence: no more than the index searches quickly."""
SENTENCE = 1 / 3
"""What the cosine of the sentence that suits an API best counts; that of the whole query counts the rest."""


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
        if not queries:
            return []
        read = with_sentences(queries, lambda texts: list(self._embed(texts)))
        depth = max(k, DEPTH) if any(parts for _, parts in read) else k
        ids, scores = self.index.search(np.stack([whole for whole, _ in read]), depth, allowed)
        return [
            self._again(found, row, np.stack(parts), k) if parts else Ranking(found[:k], [float(s) for s in row[:k]])
            for (_, parts), found, row in zip(read, ids, scores, strict=True)
        ]

    def _again(self, found: list[str], whole: Floats, parts: Floats, k: int) -> Ranking:
        """The best k of those found, whose cosines with the whole query are `whole`."""
        scores = (1 - SENTENCE) * whole + SENTENCE * self.index.products(parts, found).max(axis=0)
        order = sorted(range(len(found)), key=lambda i: (-scores[i], found[i]))[:k]
        return Ranking([found[i] for i in order], [float(scores[i]) for i in order])


class Hybrid:
    """BM25 and a dense searcher over the same APIs, fused as settings say."""

    def __init__(self, dense: Searcher, bm25: Bm25Index, fusion: FusionSettings) -> None:
        """Raises ValueError if the two know different APIs."""
        if dense.api_ids != bm25.api_ids:
            raise ValueError("the embeddings and the words are of different APIs")
        self._dense, self._bm25, self._fusion = dense, bm25, fusion
        self.api_ids = bm25.api_ids

    def rank(self, queries: Sequence[str], k: int, allowed: Mask | None = None) -> list[Ranking]:
        """See `Searcher`. Scores order, and mean nothing else."""
        fusion = self._fusion
        depth = max(k, fusion.depth)
        both = zip(self._dense.rank(queries, depth, allowed), self._bm25.rank(queries, depth, allowed), strict=True)
        if fusion.method == "scores":
            return [combine(d, b, fusion.bm25_weight, k) for d, b in both]
        return [fuse([d.api_ids, b.api_ids], (1.0, fusion.bm25_weight), fusion.constant, k) for d, b in both]


def dense_over(
    lake: Lake, encoder: Encoder, corpus: Mapping[str, str], progress: Progress | None = None
) -> tuple[Dense, Embedded]:
    """A dense searcher over `corpus` (API id → document), and what its documents cost.

    Embeddings that the lake has are not made again, those of queries neither.
    """
    cache = EmbeddingCache(lake, identity(encoder))
    made = cache.embed(encoder, list(corpus.values()), progress)
    return Dense(lambda queries: cache.embed(encoder, queries).vectors, Index(list(corpus), made.vectors)), made
