import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.statistics import bootstrap, difference, sign_test, wilson


def test_wilson_by_hand() -> None:
    # 8 of 10 with z = 1.96: middle (0.8 + 3.8415/20) / 1.38415 = 0.7167, half-width 0.2266 (Wilson 1927).
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    # No success: the upper end is z² / (n + z²).
    assert wilson(0, 10) == pytest.approx((0, 3.8415 / 13.8415), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((10 / 13.8415, 1), abs=1e-4)
    assert wilson(0, 0) is None


def test_a_bootstrap_of_a_proportion_is_close_to_the_normal_interval() -> None:
    found = bootstrap([1.0] * 60 + [0.0] * 40)
    assert found is not None
    assert found.mean == pytest.approx(0.6)
    half = 1.96 * (0.6 * 0.4 / 100) ** 0.5
    assert found.low == pytest.approx(0.6 - half, abs=0.015)
    assert found.high == pytest.approx(0.6 + half, abs=0.015)
    assert (found.n, found.clusters) == (100, 100)
    assert bootstrap([]) is None


def test_votes_on_one_query_count_as_one_query() -> None:
    """Ten equal votes on each query say no more than one."""
    queries = [float(i % 3 == 0) for i in range(60)]
    once = bootstrap(queries, list(range(60)), seed=3)
    ten = bootstrap(queries * 10, list(range(60)) * 10, seed=3)
    assert once is not None
    assert ten is not None
    assert (ten.mean, ten.low, ten.high) == pytest.approx((once.mean, once.low, once.high))
    assert (ten.n, ten.clusters) == (600, 60)
    unclustered = bootstrap(queries * 10)
    assert unclustered is not None
    assert unclustered.high - unclustered.low < (once.high - once.low) / 2


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=30), st.integers(0, 99))
def test_the_order_of_the_values_does_not_matter(rows: list[tuple[float, int]], seed: int) -> None:
    shuffled = random.Random(seed).sample(rows, len(rows))
    ours = bootstrap([v for v, _ in rows], [c for _, c in rows], resamples=50)
    theirs = bootstrap([v for v, _ in shuffled], [c for _, c in shuffled], resamples=50)
    assert ours == theirs
    assert ours is not None
    assert ours.low <= ours.high


def test_labels_have_to_fit() -> None:
    with pytest.raises(ValueError, match="2 cluster labels do not fit 1 values"):
        bootstrap([1.0], [1, 2])


def test_a_difference_is_paired() -> None:
    """Items differ much, the two methods by a constant: paired, there is nothing left to vary."""
    ours = [i / 50 for i in range(50)]
    found = difference(ours, [v - 0.1 for v in ours])
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_sign_test_by_hand() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(5, 5) == 1.0
    assert sign_test(9, 1) == pytest.approx(2 * 11 / 1024)
    assert sign_test(1, 9) == sign_test(9, 1)
    assert 0 < sign_test(5_000, 4_000) < 1e-20
    assert sign_test(100_000, 100_000) == 1.0
    with pytest.raises(ValueError, match="negative"):
        sign_test(-1, 2)
