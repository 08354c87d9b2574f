"""Okapi BM25, exact, for some thousand documents at most.

Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", with the inverse document
frequency `log(1 + (N - n + 0.5) / (n + 0.5))`, which is never negative.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

K1 = 1.2
"""How soon a word that is repeated in a document stops counting more."""
B = 0.3
"""How much a document longer than the mean is marked down: 0 not at all, 1 in full."""


class Bm25:
    """Documents as lists of words, scored for weighted words."""

    def __init__(self, documents: Mapping[str, Sequence[str]]) -> None:
        counted = {name: Counter(words) for name, words in sorted(documents.items())}
        self.names = tuple(counted)
        spread = Counter(word for counts in counted.values() for word in counts)
        mean = sum(c.total() for c in counted.values()) / max(len(counted), 1)
        self._weights: dict[str, dict[str, float]] = {}
        for name, counts in counted.items():
            damping = K1 * (1 - B + B * counts.total() / mean) if mean else K1
            for word, n in counts.items():
                rarity = math.log(1 + (len(counted) - spread[word] + 0.5) / (spread[word] + 0.5))
                self._weights.setdefault(word, {})[name] = rarity * n * (K1 + 1) / (n + damping)

    def scores(self, query: Mapping[str, float]) -> dict[str, float]:
        """Document name → score, for those that share a word with `query` (word → weight)."""
        shares: dict[str, list[float]] = {}
        for word, weight in query.items():
            for name, score in self._weights.get(word, {}).items():
                shares.setdefault(name, []).append(weight * score)
        # fsum: the order of the words must not show in the last digit.
        return {name: math.fsum(parts) for name, parts in shares.items()}
