"""Intervals and tests for what is measured: proportions, means over clusters, differences of the same items."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

Z95 = 1.959963984540054
"""The standard normal distribution's 97.5% quantile."""

RESAMPLES = 2_000
"""Of a bootstrap: the ends of a 95% interval then move by about a twentieth of its width between seeds."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95% interval."""

    mean: float
    low: float
    high: float
    n: int
    """Observations."""
    clusters: int
    """Groups of observations that were resampled as a whole."""

    def percent(self) -> str:
        """`52.1% (48.0 to 56.3)`."""
        return f"{100 * self.mean:.1f}% ({100 * self.low:.1f} to {100 * self.high:.1f})"


def wilson(successes: float, n: int) -> tuple[float, float] | None:
    """The 95% score interval of a proportion (Wilson 1927), within [0, 1]; None without observations.

    `successes` may be fractional, for half points; the interval is then a little too wide.
    """
    if n == 0:
        return None
    p, z2 = successes / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, *, seed: int = 0, resamples: int = RESAMPLES
) -> Estimate | None:
    """The mean of `values` with a percentile bootstrap interval (Efron 1979); None without values.

    `clusters`: one label a value; values of one label are drawn together, so that several votes on one query count as
    one query (Field and Welsh 2007). The result does not depend on the order of the values. Raises ValueError if the
    labels do not fit the values.
    """
    import numpy as np

    if clusters is not None and len(clusters) != len(values):
        raise ValueError(f"{len(clusters)} cluster labels do not fit {len(values)} values")
    if not values:
        return None
    sums, sizes = _totals(values, clusters)
    random = np.random.default_rng(seed)
    k = len(sums)
    means = np.empty(resamples)
    at_once = max(1, 4_000_000 // k)
    for start in range(0, resamples, at_once):
        drawn = random.integers(0, k, size=(min(at_once, resamples - start), k))
        means[start : start + len(drawn)] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(sums.sum() / sizes.sum()), float(low), float(high), len(values), k)


def difference(
    ours: Sequence[float], theirs: Sequence[float], clusters: Sequence[Hashable] | None = None, *, seed: int = 0
) -> Estimate | None:
    """Mean of `ours` minus mean of `theirs` over the same items in the same order, with a paired bootstrap interval.

    Raises ValueError if the two differ in length.
    """
    return bootstrap([a - b for a, b in zip(ours, theirs, strict=True)], clusters, seed=seed)


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p-value of `wins` against `losses` where both are equally likely; ties do not count.

    Raises ValueError for negative counts.
    """
    if wins < 0 or losses < 0:
        raise ValueError(f"counts must not be negative: {wins}, {losses}")
    n, extreme = wins + losses, max(wins, losses)
    if n == 0:
        return 1.0
    # Terms relative to the first are all at most one: no overflow, whatever n is.
    first = math.lgamma(n + 1) - math.lgamma(extreme + 1) - math.lgamma(n - extreme + 1) - n * math.log(2)
    total = term = 1.0
    for k in range(extreme, n):
        term *= (n - k) / (k + 1)
        total += term
    return min(1.0, 2 * math.exp(first) * total)


def _totals(
    values: Sequence[float], clusters: Sequence[Hashable] | None
) -> "tuple[npt.NDArray[Any], npt.NDArray[Any]]":
    """Sum and size of each cluster, in an order that the order of the values does not decide."""
    import numpy as np

    if clusters is None:
        return np.sort(np.asarray(values, dtype=np.float64)), np.ones(len(values))
    groups: dict[Hashable, list[float]] = {}
    for value, label in zip(values, clusters, strict=True):
        groups.setdefault(label, []).append(value)
    totals = sorted((math.fsum(group), len(group)) for group in groups.values())
    return np.array([t for t, _ in totals]), np.array([n for _, n in totals], dtype=np.float64)
