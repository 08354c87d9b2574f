"""BM25 over API documents: words that query and document share. No model, no torch.

`catalogue/bm25.py` ranks a few dozen categories for weighted words; this one ranks tens of thousands of documents, and
keeps its scores in a sparse matrix that is saved and mapped into memory.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolbench.errors import ToolbenchError
from toolbench.retriever.ranking import Mask, Ranking, Scores, best
from toolbench.retriever.sentences import with_sentences

if TYPE_CHECKING:
    import bm25s

WORD = r"(?u)[^\W_]+"
"""Letters and digits: `get_user_by_id` and `get-user` are words, not names."""
STOPWORDS = "english_plus"
"""The longer of the package's lists: instructions are full of `I'm planning a …, can you …`."""
K1, B = 1.5, 0.75
"""The package's own values: how soon a repeated word stops counting more, how much a long document is marked down."""

_FILE = "bm25.json"
_QUIET: dict[str, Any] = {"show_progress": False}


class Bm25Index:
    """API documents ranked by Okapi BM25 as Lucene computes it (Robertson and Zaragoza 2009; Lù 2024 for `bm25s`)."""

    def __init__(self, api_ids: list[str], retriever: "bm25s.BM25 | None") -> None:
        """Use `build` or `load`. `api_ids` is ascending; without any word in any document there is no `retriever`."""
        self.api_ids = api_ids
        self._retriever = retriever

    @classmethod
    def of(cls, words: Mapping[str, str]) -> "Bm25Index":
        """An index of API id → text."""
        return cls.build(list(words), list(words.values()))

    @classmethod
    def build(cls, api_ids: Sequence[str], documents: Sequence[str]) -> "Bm25Index":
        """An index of one document an API id. Raises ValueError where they do not fit each other."""
        import bm25s

        if len(api_ids) != len(documents) or len(set(api_ids)) < len(api_ids):
            raise ValueError(f"{len(documents)} documents do not fit {len(set(api_ids))} API ids")
        # The package tells its debugging to whoever listens, a flow's log for one.
        logging.getLogger("bm25s").setLevel(logging.WARNING)
        order = sorted(range(len(api_ids)), key=api_ids.__getitem__)
        words = bm25s.tokenize([documents[i] for i in order], token_pattern=WORD, stopwords=STOPWORDS, **_QUIET)
        retriever = None
        if any(word for word in words.vocab):
            retriever = bm25s.BM25(k1=K1, b=B, method="lucene")
            retriever.index(words, **_QUIET)
        return cls([api_ids[i] for i in order], retriever)

    def __len__(self) -> int:
        return len(self.api_ids)

    def rank(self, queries: Sequence[str], k: int, allowed: Mask | None = None) -> list[Ranking]:
        """The best k at most for each query, ties by id; an API that shares no word with a query is not found by it.

        Of a query of several sentences, the one that suits an API best counts twice.
        """
        return [self.first(scores, k, allowed) for scores in self.scored(queries)]

    def scored(self, queries: Sequence[str]) -> Iterator[Scores]:
        """The scores of all APIs for each query, in the order of `api_ids`; 0: no word in common."""
        for words, parts in with_sentences(queries, _words):
            scores = self._scores(words)
            yield scores + np.maximum.reduce([self._scores(part) for part in parts]) if parts else scores

    def first(self, scores: Scores, k: int, allowed: Mask | None = None) -> Ranking:
        """The best k of such scores at most."""
        if allowed is not None:
            scores = np.where(allowed, scores, np.float32(0))
        found = [i for i in best(scores, k) if scores[i] > 0]
        return Ranking([self.api_ids[i] for i in found], [float(scores[i]) for i in found])

    def _scores(self, words: list[str]) -> Scores:
        if self._retriever is None or not words:
            return np.zeros(len(self), dtype=np.float32)
        found: Scores = self._retriever.get_scores(words)
        return found

    def save(self, folder: Path) -> None:
        """Write the index into `folder`, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        if self._retriever is not None:
            self._retriever.save(folder, **_QUIET)
        described = {"version": 1, "words": self._retriever is not None, "api_ids": self.api_ids}
        (folder / _FILE).write_text(json.dumps(described, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Bm25Index":
        """The index that `save` wrote, its matrix mapped into memory. Raises ToolbenchError if it cannot be read."""
        import bm25s

        try:
            described = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            api_ids: list[str] = described["api_ids"]
            if not described["words"]:
                return cls(api_ids, None)
            retriever = bm25s.BM25.load(folder, mmap=True, **_QUIET)
            if retriever.scores["num_docs"] != len(api_ids):
                raise ValueError(f"{retriever.scores['num_docs']} documents, {len(api_ids)} ids")
            return cls(api_ids, retriever)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ToolbenchError(
                f"{folder} holds no readable BM25 index ({error}): run `toolbench retriever index` to write one."
            ) from error


def _words(texts: Sequence[str]) -> list[list[str]]:
    import bm25s

    # Without ids of its own for the words: a query's would be numbered by the query.
    found: list[list[str]] = bm25s.tokenize(
        list(texts), token_pattern=WORD, stopwords=STOPWORDS, return_ids=False, **_QUIET
    )
    return found
