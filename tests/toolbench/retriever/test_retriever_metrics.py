import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.retriever.metrics import evaluate, scores

SECOND, THIRD = 1 / math.log2(3), 1 / math.log2(4)
"""Discounts of the ranks 2 and 3; that of rank 1 is 1."""


def ndcg(ranked: list[str], relevant: set[str], k: int) -> float:
    return scores({"q": ranked}, {"q": relevant}, (k,))[f"ndcg@{k}"]["q"]


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


_ids = st.lists(st.sampled_from("zyxwvuts\té"), unique=True, max_size=8)


@given(_ids, st.sets(st.sampled_from("zyxwvuts\té"), min_size=1), st.integers(1, 9))
def test_every_figure_is_what_its_definition_says(ranked: list[str], relevant: set[str], k: int) -> None:
    found = scores({"q": ranked}, {"q": relevant}, (k,))
    hits = [i in relevant for i in ranked[:k]]
    gain = sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits))
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(k, len(relevant))))
    assert found[f"ndcg@{k}"]["q"] == pytest.approx(gain / ideal)
    assert found[f"recall@{k}"]["q"] == pytest.approx(sum(hits) / len(relevant))
    assert found[f"completeness@{k}"]["q"] == float(sum(hits) == len(relevant))


@pytest.mark.parametrize(
    ("ranked", "relevant", "k", "message"),
    [(["a"], set(), 1, "no relevant"), (["a"], {"a"}, 0, "k is 0"), (["a", "a"], {"a"}, 2, "twice")],
)
def test_what_cannot_be_scored_is_refused(ranked: list[str], relevant: set[str], k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scores({"q": ranked}, {"q": relevant}, (k,))


def test_evaluate_gives_mean_and_standard_error() -> None:
    figures = evaluate({"q1": ["a"], "q2": ["x"], "q3": ["c"]}, {"q1": ["a"], "q2": ["b"], "q3": ["c"]}, (1,))
    assert figures["queries"] == 3
    # Scores 1, 0, 1: their sample variance is 1/3.
    assert figures["ndcg@1"] == {"mean": pytest.approx(2 / 3), "se": pytest.approx(1 / 3)}
    assert set(figures) == {"queries", "ndcg@1", "recall@1", "completeness@1"}


def test_a_query_without_a_ranking_scores_zero_and_one_query_has_no_error() -> None:
    assert evaluate({}, {"q": ["a"]}, (3,))["recall@3"] == {"mean": 0.0, "se": None}


def test_no_queries_no_figures() -> None:
    assert evaluate({"q": ["a"]}, {}) == {}
