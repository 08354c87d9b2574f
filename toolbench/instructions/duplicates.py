"""Near duplicates among instructions, within a night and across nights.

Two texts are near duplicates if the Jaccard similarity of their sets of word 3-grams is at least `THRESHOLD`. MinHash
(datasketch) with banding finds candidates (Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets,
chapter 3); each is verified by the exact similarity, so that what is reported is always true.

At 0.6, pairs of real queries say the same in other words ("Also" for "Additionally", another opening sentence); at 0.5
they begin to ask for something else. With 32 bands of 4 rows a pair at 0.6 is seen with probability 0.988, one at 0.7
with 0.9998.
"""

import re
from array import array
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

THRESHOLD = 0.6
"""Jaccard similarity from which two texts are near duplicates."""

SHINGLE = 3
"""Words of a shingle; a shorter text is one shingle."""

BANDS = 32
ROWS = 4
"""MinHash values of a band: BANDS times ROWS permutations in all."""

_EMPTY = -1
_FIRST_SIZE = 1 << 12
_MASK = (1 << 32) - 1


def shingles(text: str, size: int = SHINGLE) -> frozenset[int]:
    """64-bit hashes of the runs of `size` words, case and punctuation aside."""
    words = re.findall(r"\w+", text.lower())
    runs = (" ".join(words[i : i + size]) for i in range(max(1, len(words) - size + 1)))
    return frozenset(
        int.from_bytes(blake2b(run.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") for run in runs
    )


def similarity(one: frozenset[int], other: frozenset[int]) -> float:
    """Jaccard similarity, 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class NearDuplicates:
    """Texts so far, each unlike all before it: `add` one after the other, those of earlier nights first.

    Memory is bounded by what is kept: per text its shingles (8 bytes each), about 14 bytes a
    band, and its id; no text. For instructions of 45 words that is 1.2 kB.
    """

    def __init__(self, threshold: float = THRESHOLD, *, bands: int = BANDS, rows: int = ROWS, seed: int = 1) -> None:
        """`seed` draws the permutations. Raises ValueError for a threshold outside (0, 1]."""
        from datasketch import MinHash

        if not 0 < threshold <= 1:
            raise ValueError(f"a threshold of {threshold} is not in (0, 1]")
        self.threshold = threshold
        self._hasher = MinHash(
            num_perm=bands * rows, seed=seed, scheme="affine32", hashfunc=lambda value: value & _MASK
        )
        self._ids: list[str] = []
        self._shingles: list[bytes] = []
        self._buckets = [_Buckets() for _ in range(bands)]

    def __len__(self) -> int:
        """Texts that are kept."""
        return len(self._ids)

    def add(self, name: str, text: str) -> tuple[str, float] | None:
        """The most similar earlier text (its id and similarity) if it is a near duplicate; else None, and it is kept.

        Of equally similar ones it is the earliest. A near duplicate itself is not kept: only what stays is compared.
        """
        found = shingles(text)
        keys = self._keys(found)
        if duplicate := self._most_similar(found, keys):
            return duplicate
        self._ids.append(name)
        self._shingles.append(array("Q", sorted(found)).tobytes())
        for buckets, key in zip(self._buckets, keys, strict=True):
            buckets.append(key)
        return None

    def find(self, text: str) -> tuple[str, float] | None:
        """What `add` would answer; nothing is kept."""
        found = shingles(text)
        return self._most_similar(found, self._keys(found))

    def _most_similar(self, found: frozenset[int], keys: list[int]) -> tuple[str, float] | None:
        candidates = {i for buckets, key in zip(self._buckets, keys, strict=True) for i in buckets.find(key)}
        best: tuple[float, int] | None = None
        for candidate in sorted(candidates):
            if not self.threshold <= _size_ratio(len(self._shingles[candidate]) // 8, len(found)):
                continue
            other = array("Q", self._shingles[candidate])
            alike = similarity(found, frozenset(other))
            if alike >= self.threshold and (best is None or alike > best[0]):
                best = alike, candidate
        return (self._ids[best[1]], best[0]) if best else None

    def _keys(self, found: frozenset[int]) -> list[int]:
        """A 32-bit key a band."""
        signature: Any = self._hasher.copy()
        signature.update_batch(found)
        bands = signature.hashvalues.reshape(len(self._buckets), -1)
        # Rows mixed modulo 2**32: equal bands have equal keys, others seldom (and then the exact similarity decides).
        key = bands[:, 0].copy()
        for row in range(1, bands.shape[1]):
            key *= 0x9E3779B1
            key ^= bands[:, row]
        return list((key ^ (key >> 15)).tolist())


def _size_ratio(one: int, other: int) -> float:
    """The highest similarity that sets of these sizes can have."""
    return min(one, other) / max(one, other)


class _Buckets:
    """Numbers 0, 1, … by key, in arrays: 8 bytes an entry and 4 to 8 for the table, where a dictionary takes 100."""

    def __init__(self) -> None:
        self._keys = array("I")
        self._next = array("i")
        self._heads = array("i", [_EMPTY]) * _FIRST_SIZE

    def append(self, key: int) -> None:
        """Put the next number under `key`."""
        if len(self._keys) >= len(self._heads):
            self._grow()
        self._keys.append(key)
        self._chain(len(self._keys) - 1)

    def find(self, key: int) -> Iterator[int]:
        """The numbers under `key`."""
        keys, following = self._keys, self._next
        number = self._heads[key & (len(self._heads) - 1)]
        while number != _EMPTY:
            if keys[number] == key:
                yield number
            number = following[number]

    def _chain(self, number: int) -> None:
        slot = self._keys[number] & (len(self._heads) - 1)
        self._next.append(self._heads[slot])
        self._heads[slot] = number

    def _grow(self) -> None:
        self._heads = array("i", [_EMPTY]) * (2 * len(self._heads))
        self._next = array("i")
        for number in range(len(self._keys)):
            self._chain(number)
