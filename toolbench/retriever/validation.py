"""Training queries held back from training, to choose a checkpoint by: what is held out is not there to choose by."""

import random
from collections.abc import Mapping, Sequence

from toolbench.digests import draw
from toolbench.encoder import Encoder
from toolbench.records import RetrievalPair
from toolbench.retriever.index import Index
from toolbench.retriever.metrics import evaluate

_DEPTH = 5


class Validation:
    """Scores an encoder by its mean NDCG@5 on some queries over some documents."""

    def __init__(self, pairs: Sequence[RetrievalPair], documents: Mapping[str, str]) -> None:
        """`documents` maps API ids to documents, those of the pairs among them."""
        self._documents = documents
        self._relevant: dict[str, set[str]] = {}
        for pair in pairs:
            self._relevant.setdefault(pair.query, set()).add(pair.api_id)

    def __call__(self, encoder: Encoder) -> float:
        """In [0, 1]."""
        index = Index(list(self._documents), encoder.encode(list(self._documents.values())))
        found, _ = index.search(encoder.encode(list(self._relevant)), _DEPTH)
        rankings = dict(zip(self._relevant, found, strict=True))
        return float(evaluate(rankings, self._relevant, (_DEPTH,))[f"ndcg@{_DEPTH}"]["mean"])


def hold_back(pairs: Sequence[RetrievalPair], count: int, seed: int) -> tuple[list[RetrievalPair], list[RetrievalPair]]:
    """The pairs to train on, and those of `count` queries drawn by their text, at most a fifth of all."""
    queries = sorted({p.query for p in pairs}, key=lambda query: (draw(str(seed), query), query))
    back = set(queries[: min(count, len(queries) // 5)])
    return [p for p in pairs if p.query not in back], [p for p in pairs if p.query in back]


def drawn(documents: Mapping[str, str], pairs: Sequence[RetrievalPair], count: int, seed: int) -> dict[str, str]:
    """The documents of all pairs and, up to `count` in all, drawn other ones."""
    needed = {p.api_id for p in pairs}
    others = sorted(documents.keys() - needed)
    more = random.Random(f"{seed}/documents").sample(others, min(len(others), max(0, count - len(needed))))
    return {i: documents[i] for i in sorted(needed | set(more))}
