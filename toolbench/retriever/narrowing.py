"""A first look at fewer dimensions, which loses nothing: what cannot be among the best is left out by proof.

One query against tens of thousands of embeddings is a matter of memory bandwidth: all of them have to be read. Turned
so that the first dimensions hold most of what tells them apart, half of the dimensions are enough to bound each score:
by Cauchy and Schwarz the rest adds at most the product of what is left of both lengths. Only embeddings whose upper
bound reaches the k-th best score are read in full.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_FEWEST = 4_096
"""Embeddings from which it pays."""
_DEEPEST = 50
"""The largest k: for more, too many bounds reach the k-th best."""
_MOST = 0.1
"""Of the embeddings: if more are left, reading them one by one takes longer than reading all in order."""
_SLACK = 1e-4
"""Rounding of float32 sums, generously."""
_FILES = ("turn", "head", "rest")


class Narrowing:
    """Embeddings turned by `turn`: their first dimensions, `head`, and the length of what is left, `rest`."""

    def __init__(self, turn: Floats, head: Floats, rest: Floats) -> None:
        """Shapes (dimensions, kept), (APIs, kept), (APIs,)."""
        self._turn, self._head, self._rest = turn, head, rest

    @classmethod
    def of(cls, embeddings: Floats) -> "Narrowing | None":
        """Turned to the embeddings' principal axes, half of them kept; None where it would not pay."""
        count, dimensions = embeddings.shape
        if count < _FEWEST or dimensions < 64:
            return None
        axes = np.linalg.eigh((embeddings.T @ embeddings).astype(np.float64))[1]
        turn = np.ascontiguousarray(axes[:, ::-1][:, : dimensions // 2], dtype=np.float32)
        head = embeddings @ turn
        left = np.einsum("ij,ij->i", embeddings, embeddings) - np.einsum("ij,ij->i", head, head)
        return cls(turn, head, np.sqrt(np.maximum(left, 0)))

    def fits(self, embeddings: Floats) -> bool:
        """Whether it was made of as many embeddings of the same length."""
        shapes = [self._turn.shape, self._head.shape, self._rest.shape]
        (count, dimensions), kept = embeddings.shape, self._turn.shape[-1]
        return shapes == [(dimensions, kept), (count, kept), (count,)]

    def candidates(
        self, query: Floats, k: int, allowed: npt.NDArray[np.bool_] | None, embeddings: Floats
    ) -> npt.NDArray[np.intp] | None:
        """Positions, ascending, of all that can be among the best k; None where that leaves too many, or k is large."""
        if k > _DEEPEST:
            return None
        turned = query @ self._turn
        length = np.sqrt(max(float(query @ query) - float(turned @ turned), 0.0))
        middle = self._head @ turned
        if allowed is not None:
            middle[~allowed] = -np.inf
        # The k best by the first look need not be the best, but the worst of them has a score that is reached.
        first = np.argpartition(middle, len(middle) - k)[len(middle) - k :]
        reached = float((embeddings[first] @ query).min())
        possible = np.flatnonzero(middle + np.float32(length) * self._rest >= reached - _SLACK)
        return possible if len(possible) <= _MOST * len(middle) else None

    def save(self, folder: Path) -> None:
        """Write three arrays into `folder`."""
        for name, array in zip(_FILES, (self._turn, self._head, self._rest), strict=True):
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "Narrowing | None":
        """What `save` wrote, mapped into memory; None if nothing was written. Raises OSError, ValueError if damaged."""
        if not (folder / "head.npy").exists():
            return None
        turn, head, rest = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _FILES)
        return cls(turn, head, rest)
