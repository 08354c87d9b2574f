import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.bm25 import K1, B, Bm25

WORDS = st.sampled_from(["rain", "wind", "song", "goal", "bank"])
DOCUMENTS = st.dictionaries(st.sampled_from("abcde"), st.lists(WORDS, max_size=8), max_size=5)


def by_the_formula(documents: dict[str, list[str]], query: dict[str, float], name: str) -> float:
    mean = sum(map(len, documents.values())) / len(documents)
    total = 0.0
    for word, weight in query.items():
        n = sum(word in d for d in documents.values())
        f = documents[name].count(word)
        idf = math.log((len(documents) - n + 0.5) / (n + 0.5) + 1)
        if f:
            total += weight * idf * f * (K1 + 1) / (f + K1 * (1 - B + B * len(documents[name]) / mean))
    return total


@given(documents=DOCUMENTS, query=st.dictionaries(WORDS, st.floats(0.5, 5)))
def test_scores_are_those_of_the_formula(documents: dict[str, list[str]], query: dict[str, float]) -> None:
    scores = Bm25(documents).scores(query)
    for name, words in documents.items():
        assert (name in scores) == bool(query.keys() & set(words))
        assert scores.get(name, 0.0) == pytest.approx(by_the_formula(documents, query, name), rel=1e-12)


@given(documents=DOCUMENTS, query=st.dictionaries(WORDS, st.floats(0.5, 5)))
def test_no_order_shows_even_in_the_last_digit(documents: dict[str, list[str]], query: dict[str, float]) -> None:
    backwards = {name: words[::-1] for name, words in reversed(documents.items())}
    assert Bm25(backwards).scores(dict(reversed(query.items()))) == Bm25(documents).scores(query)


def test_a_rare_word_says_more_than_a_common_one() -> None:
    index = Bm25({"a": ["rain", "song"], "b": ["rain", "goal"], "c": ["rain", "wind"]})
    scores = index.scores({"rain": 1, "song": 1})
    assert scores["a"] > 3 * scores["b"] == 3 * scores["c"] > 0


def test_nothing_to_search_and_nothing_to_search_for_give_nothing() -> None:
    assert Bm25({}).scores({"rain": 1}) == {}
    assert Bm25({"a": []}).scores({"rain": 1}) == {}
    assert Bm25({"a": ["rain"]}).scores({}) == {}
