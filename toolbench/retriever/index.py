"""Exact search over the embeddings of API documents."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolbench.errors import ToolbenchError

Floats = npt.NDArray[np.float32]

_QUERIES_AT_ONCE = 256
"""Bounds the score matrix: 256 queries over 47,000 APIs are 48 MB."""


class Index:
    """API ids with one embedding each, searched by inner product: the cosine, where both sides are normalised."""

    def __init__(self, api_ids: Sequence[str], embeddings: Floats) -> None:
        """`embeddings` has shape (APIs, dimensions). Raises ValueError where the two do not fit each other."""
        if embeddings.ndim != 2 or len(embeddings) != len(api_ids):
            raise ValueError(f"{len(api_ids)} API ids do not fit embeddings of shape {embeddings.shape}")
        if len(set(api_ids)) < len(api_ids):
            raise ValueError("an API id occurs twice")
        if not np.isfinite(embeddings).all():
            raise ValueError("an embedding is not finite")
        # Rows lie in order of id, so that among equal scores the lower position is the lower id.
        order = sorted(range(len(api_ids)), key=api_ids.__getitem__)
        self.api_ids = [api_ids[i] for i in order]
        self.embeddings: Floats = np.ascontiguousarray(embeddings[order], dtype=np.float32)

    def __len__(self) -> int:
        return len(self.api_ids)

    def search(self, query_embeddings: Floats, k: int) -> tuple[list[list[str]], Floats]:
        """The ids of the best min(k, APIs) for each query and their scores, best first, ties by id.

        `query_embeddings` has shape (queries, dimensions), the scores (queries, min(k, APIs)). Raises ValueError if the
        dimensions differ or `k` is below 1.
        """
        if query_embeddings.ndim != 2 or query_embeddings.shape[1] != self.embeddings.shape[1]:
            raise ValueError(
                f"queries of shape {query_embeddings.shape} do not fit an index of {self.embeddings.shape}"
            )
        if k < 1:
            raise ValueError(f"k is {k}; it must be at least 1")
        k = min(k, len(self))
        ids: list[list[str]] = []
        scores = np.empty((len(query_embeddings), k), dtype=np.float32)
        for start in range(0, len(query_embeddings), _QUERIES_AT_ONCE):
            block = query_embeddings[start : start + _QUERIES_AT_ONCE].astype(np.float32) @ self.embeddings.T
            for offset, row in enumerate(block):
                best = _best(row, k)
                ids.append([self.api_ids[i] for i in best])
                scores[start + offset] = row[best]
        return ids, scores

    def save(self, folder: Path) -> None:
        """Write `embeddings.npy` and `index.json` into `folder`, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "embeddings.npy", self.embeddings, allow_pickle=False)
        described = {"version": 1, "dimensions": int(self.embeddings.shape[1]), "api_ids": self.api_ids}
        (folder / "index.json").write_text(json.dumps(described, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Index":
        """The index that `save` wrote. Raises ToolbenchError if there is none or its files do not fit together."""
        try:
            described = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            embeddings = np.load(folder / "embeddings.npy", allow_pickle=False)
            return cls(described["api_ids"], embeddings)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ToolbenchError(
                f"{folder} holds no readable retriever index ({error}): train the retriever again to write one."
            ) from error


def _best(row: Floats, k: int) -> npt.NDArray[np.intp]:
    """Positions of the k largest, largest first, equal ones by position.

    A partition alone would draw at random among those that tie at the cut; all of them are taken, then sorted stably.
    """
    if k == 0:
        return np.empty(0, dtype=np.intp)
    cut = np.partition(row, len(row) - k)[len(row) - k]
    candidates = np.flatnonzero(row >= cut)
    return candidates[np.argsort(-row[candidates], kind="stable")][:k]
