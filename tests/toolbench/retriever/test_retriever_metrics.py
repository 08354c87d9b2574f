import math

import pytest

from toolbench.retriever.metrics import evaluate, ndcg, recall

SECOND, THIRD = 1 / math.log2(3), 1 / math.log2(4)
"""Discounts of the ranks 2 and 3; that of rank 1 is 1."""


@pytest.mark.parametrize(
    ("ranked", "relevant", "k", "expected"),
    [
        (["a", "b", "c"], {"a"}, 1, 1.0),
        (["b", "a", "c"], {"a"}, 1, 0.0),
        (["b", "a", "c"], {"a"}, 3, SECOND),
        (["a", "x", "b"], {"a", "b"}, 3, (1 + THIRD) / (1 + SECOND)),
        # The ideal counts all relevant ones: one of two found at rank 1 is not perfect at 3 …
        (["a", "x", "y"], {"a", "b"}, 3, 1 / (1 + SECOND)),
        # … but it is at 1, where no more than one fits.
        (["a", "x", "y"], {"a", "b"}, 1, 1.0),
        # A ranking shorter than k has lost the ranks it lacks.
        (["a"], {"a", "b", "c"}, 5, 1 / (1 + SECOND + THIRD)),
        ([], {"a"}, 5, 0.0),
    ],
)
def test_ndcg_by_hand(ranked: list[str], relevant: set[str], k: int, expected: float) -> None:
    assert ndcg(ranked, relevant, k) == pytest.approx(expected)


def test_recall_by_hand() -> None:
    assert recall(["a", "x", "b"], ["a", "b", "c", "c"], 3) == pytest.approx(2 / 3)
    assert recall(["a", "x", "b"], {"a", "b", "c"}, 1) == pytest.approx(1 / 3)


@pytest.mark.parametrize("metric", [ndcg, recall])
def test_what_cannot_be_scored_is_refused(metric) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="without relevant"):
        metric(["a"], set(), 1)
    with pytest.raises(ValueError, match="k is 0"):
        metric(["a"], {"a"}, 0)
    with pytest.raises(ValueError, match="twice"):
        metric(["a", "a"], {"a"}, 2)


def test_evaluate_gives_mean_and_standard_error() -> None:
    figures = evaluate({"q1": ["a"], "q2": ["x"], "q3": ["c"]}, {"q1": ["a"], "q2": ["b"], "q3": ["c"]}, (1,))
    assert figures["queries"] == 3
    # Scores 1, 0, 1: their sample variance is 1/3.
    assert figures["ndcg@1"] == {"mean": pytest.approx(2 / 3), "se": pytest.approx(1 / 3)}
    assert set(figures) == {"queries", "ndcg@1", "recall@1"}


def test_a_query_without_a_ranking_scores_zero_and_one_query_has_no_error() -> None:
    assert evaluate({}, {"q": ["a"]}, (3,))["recall@3"] == {"mean": 0.0, "se": None}


def test_no_queries_no_figures() -> None:
    assert evaluate({"q": ["a"]}, {}) == {}
