import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.retriever.index import Index
from toolbench.retriever.lexical import Bm25Index
from toolbench.retriever.searchers import DEPTH, Dense
from toolbench.retriever.sentences import sentences, with_sentences


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "Find the rain in Oslo. Then book me a table! Thank you.",
            ["Find the rain in Oslo.", "Then book me a table!"],
        ),
        ("Is version 2.5 of it out? Show me the news.", ["Is version 2.5 of it out?", "Show me the news."]),
        ("Only one sentence here.", []),
        ("Only one asks for anything. Thanks!", []),
        ("查询天气。播放音乐。", ["查询天气。", "播放音乐。"]),
        ("", []),
        (" . ? ", []),
    ],
)
def test_a_query_of_several_sentences_is_taken_apart(query: str, expected: list[str]) -> None:
    assert sentences(query) == expected


@given(st.lists(st.text(max_size=60), max_size=4))
def test_each_query_gets_back_what_was_read_of_it_and_its_sentences(queries: list[str]) -> None:
    asked: list[list[str]] = []

    def read(texts: list[str]) -> list[str]:
        asked.append(texts)
        return [f"<{text}>" for text in texts]

    found = with_sentences(queries, read)
    assert found == [(f"<{q}>", [f"<{s}>" for s in sentences(q)]) for q in queries]
    assert len(asked) == 1
    assert all(len(parts) != 1 and all(part.strip() for part in parts) for _, parts in found)


def test_by_words_the_sentence_that_suits_an_api_best_counts_twice() -> None:
    index = Bm25Index.of({"a": "rain", "b": "moon", "c": "moon rain"})
    alone = {q: dict(zip(r.api_ids, r.scores, strict=True)) for q in ("rain", "moon") for r in index.rank([q], 3)}
    (found,) = index.rank(["show me the rain. show me the moon."], 3)
    scores = dict(zip(found.api_ids, found.scores, strict=True))
    assert scores["a"] == pytest.approx(2 * alone["rain"]["a"])
    assert scores["b"] == pytest.approx(2 * alone["moon"]["b"])
    both = alone["rain"]["c"], alone["moon"]["c"]
    assert scores["c"] == pytest.approx(sum(both) + max(both))
    assert index.rank(["show me the rain"], 3)[0].scores == [alone["rain"]["a"], alone["rain"]["c"]]


def dense(documents: dict[str, list[float]], queries: dict[str, list[float]]) -> Dense:
    """A searcher whose embeddings are given."""
    index = Index(list(documents), np.array(list(documents.values()), dtype=np.float32))
    return Dense(lambda texts: np.array([queries[t] for t in texts], dtype=np.float32), index)


def test_by_embedding_the_best_sentence_counts_a_third() -> None:
    query = "show me the rain. show me the moon."
    searcher = dense(
        {"a": [0.8, 0.6], "b": [1.0, 0.0], "c": [0.8, 0.6]},
        {query: [0.6, 0.8], "show me the rain.": [1.0, 0.0], "show me the moon.": [0.0, 1.0]},
    )
    (found,) = searcher.rank([query], 3)
    # a and c: two thirds of 0.96, a third of 0.8. b: two thirds of 0.6, a third of 1.
    assert (found.api_ids, found.scores) == (["a", "c", "b"], pytest.approx([0.90667, 0.90667, 0.73333], abs=1e-4))
    assert searcher.rank([query], 1)[0].api_ids == ["a"], "equal scores go by id"
    (only,) = searcher.rank([query], 3, np.array([False, True, True]))
    assert only.api_ids == ["c", "b"]
    alone, again = searcher.rank(["show me the rain.", query], 2)
    assert (alone.api_ids, alone.scores) == (["b", "a"], pytest.approx([1.0, 0.8]))
    assert again.api_ids == ["a", "c"]
    assert searcher.rank([], 3) == []


def test_a_sentence_lifts_what_the_whole_query_ranks_low_but_no_more_than_the_first_ranks_are_read_again() -> None:
    query = "show me the rain. show me the moon."
    low = {"z": [0.5, 0.0, 3**0.5 / 2]}
    crowd = {f"{n:03d}": [0.6, 0.0, -0.8] for n in range(DEPTH)}
    asked = {query: [1.0, 0.0, 0.0], "show me the rain.": [0.0, 0.0, 1.0], "show me the moon.": [0.0, 1.0, 0.0]}
    near = dense(low | dict(list(crowd.items())[1:]), asked)
    assert near.rank([query], 1)[0].api_ids == ["z"]
    far = dense(low | crowd, asked)
    assert far.rank([query], 1)[0].api_ids == ["000"]
