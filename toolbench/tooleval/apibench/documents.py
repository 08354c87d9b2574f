"""Which documents a model is shown beside a question."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from toolbench.bm25 import Bm25
from toolbench.tooleval.apibench.data import Bench, Document, Question

Mode = Literal["none", "bm25", "oracle", "retriever"]
"""`none`: zero-shot without documents; `oracle`: the reference's own document."""

Retrieve = Callable[[str, int], Sequence[int]]
"""Positions of the k documents that fit a text best, best first."""

_WORD = re.compile(r"[^\W_]+")


def by_bm25(documents: Sequence[Document]) -> Retrieve:
    """Exact BM25 over the documents' texts; ties by position."""
    ranking = Bm25({f"{place:06d}": _words(document.text) for place, document in enumerate(documents)})

    def retrieve(query: str, k: int) -> list[int]:
        scores = ranking.scores(Counter(_words(query)))
        return [int(name) for name in sorted(scores, key=lambda name: (-scores[name], name))[:k]]

    return retrieve


def shown(bench: Bench, question: Question, mode: Mode, top: int, retrieve: Retrieve | None) -> list[Document]:
    """The documents for a question. Raises ValueError if there is nothing to retrieve with."""
    if mode == "none":
        return []
    if mode == "oracle":
        return [question.document]
    if retrieve is None:
        raise ValueError(f"documents by {mode} need a function that retrieves them")
    return [bench.documents[place] for place in retrieve(question.text, top)]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
