"""Exact search over the embeddings of API documents."""

import json
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolbench.errors import ToolbenchError
from toolbench.retriever.narrowing import Narrowing
from toolbench.retriever.ranking import Mask, best

Floats = npt.NDArray[np.float32]

_QUERIES_AT_ONCE = 256
"""Bounds the score matrix: 256 queries over 47,000 APIs are 48 MB."""
_SLACK = 1e-5
"""Of a product of lengths: what float32 sums may be off by."""


class Index:
    """API ids with one embedding each, searched by inner product: the cosine, where both sides are normalised."""

    def __init__(self, api_ids: Sequence[str], embeddings: Floats, narrowing: Narrowing | None = None) -> None:
        """`embeddings` has shape (APIs, dimensions). Raises ValueError where the two do not fit each other."""
        if embeddings.ndim != 2 or len(embeddings) != len(api_ids):
            raise ValueError(f"{len(api_ids)} API ids do not fit embeddings of shape {embeddings.shape}")
        if len(set(api_ids)) < len(api_ids):
            raise ValueError("an API id occurs twice")
        if not np.isfinite(embeddings).all():
            raise ValueError("an embedding is not finite")
        if narrowing is not None and not narrowing.fits(embeddings):
            raise ValueError("the files of the index are not of one index")
        # Rows lie in order of id, so that among equal scores the lower position is the lower id.
        order = sorted(range(len(api_ids)), key=api_ids.__getitem__)
        if order == list(range(len(api_ids))) and embeddings.dtype == np.float32:
            self.embeddings: Floats = embeddings  # as it is: it may be mapped into memory, not read
        else:
            self.embeddings, narrowing = np.ascontiguousarray(embeddings[order], dtype=np.float32), None
        self.api_ids = [api_ids[i] for i in order]
        self._longest = float(np.sqrt(np.einsum("ij,ij->i", self.embeddings, self.embeddings).max(initial=0.0)))
        self._narrowing = narrowing

    def __len__(self) -> int:
        return len(self.api_ids)

    def search(self, query_embeddings: Floats, k: int, allowed: Mask | None = None) -> tuple[list[list[str]], Floats]:
        """The ids of the best min(k, APIs) for each query and their scores, best first, ties by id.

        `query_embeddings` has shape (queries, dimensions), the scores (queries, min(k, APIs)). `allowed` says for each
        of `api_ids` whether it may be found; only those count as APIs then. Raises ValueError if the shapes do not fit
        or `k` is below 1.
        """
        if query_embeddings.ndim != 2 or query_embeddings.shape[1] != self.embeddings.shape[1]:
            raise ValueError(
                f"queries of shape {query_embeddings.shape} do not fit an index of {self.embeddings.shape}"
            )
        if allowed is not None and allowed.shape != (len(self),):
            raise ValueError(f"a mask of shape {allowed.shape} does not fit {len(self)} APIs")
        if k < 1:
            raise ValueError(f"k is {k}; it must be at least 1")
        k = min(k, len(self) if allowed is None else int(allowed.sum()))
        ids: list[list[str]] = []
        scores = np.empty((len(query_embeddings), k), dtype=np.float32)
        for place, (found, row) in enumerate(self._found(query_embeddings.astype(np.float32), k, allowed)):
            ids.append([self.api_ids[i] for i in found])
            scores[place] = row
        return ids, scores

    def products(self, query_embeddings: Floats, api_ids: Sequence[str]) -> Floats:
        """The scores of some of the index's APIs, shape (queries, api_ids), summed in float64 as `search` does."""
        rows = self.embeddings[[bisect_left(self.api_ids, api_id) for api_id in api_ids]]
        return (query_embeddings.astype(np.float64) @ rows.astype(np.float64).T).astype(np.float32)

    def _found(
        self, queries: Floats, k: int, allowed: Mask | None
    ) -> "list[tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]]":
        if len(queries) == 1 and self._narrowing is not None and k:
            possible = self._narrowing.candidates(queries[0], k, allowed, self.embeddings)
            if possible is not None:
                return [self._exactly(queries[0], possible, k)]
        found = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            at_once = queries[start : start + _QUERIES_AT_ONCE]
            block = at_once @ self.embeddings.T
            if allowed is not None:
                block[:, ~allowed] = -np.inf
            for query, row in zip(at_once, block, strict=True):
                found.append(self._exactly(query, self._possible(query, row, k), k))
        return found

    def _possible(self, query: Floats, row: Floats, k: int) -> npt.NDArray[np.intp]:
        """Positions of all whose score reaches the k-th best, or misses it by no more than rounding may."""
        if k == 0:
            return np.empty(0, dtype=np.intp)
        cut = np.partition(row, len(row) - k)[len(row) - k]
        slack = _SLACK * max(self._longest * float(np.linalg.norm(query)), 1.0)
        return np.flatnonzero(row >= cut - np.float32(slack))

    def _exactly(
        self, query: Floats, possible: npt.NDArray[np.intp], k: int
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        """The best k of `possible` with their scores.

        Summed in float64: two documents that read the same score the same, whichever way their scores were found first.
        """
        exact = (self.embeddings[possible].astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
        first = best(exact, k)
        return possible[first], exact[first]

    def save(self, folder: Path) -> None:
        """Write `embeddings.npy`, `index.json` and what makes search quicker into `folder`, made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "embeddings.npy", self.embeddings, allow_pickle=False)
        if narrowing := Narrowing.of(self.embeddings):
            narrowing.save(folder)
        described = {"version": 1, "dimensions": int(self.embeddings.shape[1]), "api_ids": self.api_ids}
        (folder / "index.json").write_text(json.dumps(described, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Index":
        """The index that `save` wrote, mapped into memory.

        Raises ToolbenchError if there is none or its files do not fit together.
        """
        try:
            described = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            embeddings = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
            return cls(described["api_ids"], embeddings, Narrowing.load(folder))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ToolbenchError(
                f"{folder} holds no readable retriever index ({error}): train the retriever again to write one."
            ) from error
