from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.errors import ToolbenchError
from toolbench.retriever.index import Index


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=30),
    st.tuples(st.integers(-2, 2), st.integers(-2, 2)),
    st.integers(1, 40),
    st.randoms(use_true_random=False),
)
def test_search_equals_a_full_sort_by_score_then_id(vectors, query, k, random) -> None:  # type: ignore[no-untyped-def]
    ids = [f"api{i:02}" for i in range(len(vectors))]
    random.shuffle(ids)
    index = Index(ids, np.array(vectors, dtype=np.float32))
    found, scores = index.search(np.array([query], dtype=np.float32), k)
    exact = {i: float(np.dot(v, query)) for i, v in zip(ids, vectors, strict=True)}
    expected = sorted(ids, key=lambda i: (-exact[i], i))[:k]
    assert found == [expected]
    assert scores.tolist() == [[exact[i] for i in expected]]


def test_many_queries_are_answered_in_their_order() -> None:
    index = Index(["a", "b"], np.eye(2, dtype=np.float32))
    queries = np.eye(2, dtype=np.float32)[[0, 1] * 300]
    found, scores = index.search(queries, 1)
    assert found == [["a"], ["b"]] * 300
    assert scores.shape == (600, 1)


def test_an_empty_index_finds_nothing() -> None:
    found, scores = Index([], np.empty((0, 4), dtype=np.float32)).search(np.ones((2, 4), dtype=np.float32), 5)
    assert (found, scores.shape) == ([[], []], (2, 0))


def test_save_and_load(tmp_path: Path) -> None:
    Index(["b", "a"], np.array([[0, 1], [1, 0]], dtype=np.float32)).save(tmp_path / "index")
    loaded = Index.load(tmp_path / "index")
    assert loaded.api_ids == ["a", "b"]
    assert loaded.embeddings.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("name", "content"),
    [("index.json", '{"api_ids": ["a"]}'), ("index.json", "[]"), ("index.json", "{"), ("embeddings.npy", "junk")],
)
def test_a_broken_folder_is_named(tmp_path: Path, name: str, content: str) -> None:
    Index(["a", "b"], np.eye(2, dtype=np.float32)).save(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(ToolbenchError, match=f"^{tmp_path} holds no readable retriever index"):
        Index.load(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolbenchError, match="train the retriever again"):
        Index.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("ids", "embeddings"),
    [(["a"], [[1, 0], [0, 1]]), (["a", "a"], [[1, 0], [0, 1]]), (["a"], [[float("nan"), 1]]), (["a"], [1.0])],
)
def test_ids_and_embeddings_must_fit(ids: list[str], embeddings: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"fit|twice|finite"):
        Index(ids, np.array(embeddings, dtype=np.float32))


def test_queries_must_fit() -> None:
    index = Index(["a"], np.ones((1, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="do not fit"):
        index.search(np.ones((1, 3), dtype=np.float32), 1)
    with pytest.raises(ValueError, match="at least 1"):
        index.search(np.ones((1, 2), dtype=np.float32), 0)


def _crowd(count: int, dimensions: int = 64) -> np.ndarray:  # type: ignore[type-arg]
    """Unit vectors of which most differ in few directions only, as embeddings of documents do; some are equal."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((count, dimensions)) * np.geomspace(1, 0.01, dimensions)
    vectors[1::50] = vectors[::50][: len(vectors[1::50])]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_look_at_half_of_the_dimensions_changes_nothing(tmp_path: Path) -> None:
    vectors = _crowd(5_000)
    ids = [f"api{i:05}" for i in range(len(vectors))]
    plain = Index(ids, vectors)
    plain.save(tmp_path)
    quick = Index.load(tmp_path)
    narrowing = quick._narrowing
    assert narrowing is not None
    queries = np.concatenate([_crowd(40), vectors[:20]])
    mask = np.arange(len(ids)) % 3 > 0
    narrowed = 0
    for query in queries:
        possible = narrowing.candidates(query, 5, None, quick.embeddings)
        narrowed += possible is not None and len(possible) < 500
        for allowed in (None, mask):
            expected, scores = plain.search(query[None], 5, allowed)
            found, found_scores = quick.search(query[None], 5, allowed)
            assert found == expected
            assert found_scores.tolist() == scores.tolist()
    assert narrowed > len(queries) / 2, "the first look leaves out most of them"


def test_queries_alone_and_together_find_the_same_in_the_same_order() -> None:
    vectors = _crowd(300)
    index = Index([f"api{i:05}" for i in range(300)], vectors)
    together, scores = index.search(vectors, 4)
    alone = [index.search(vector[None], 4) for vector in vectors]
    assert together == [ids[0] for ids, _ in alone]
    assert scores.tolist() == [row[0].tolist() for _, row in alone]


def test_only_what_is_allowed_is_found() -> None:
    index = Index(["a", "b", "c"], np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32))
    mask = np.array([False, True, True])
    found, scores = index.search(np.array([[1, 0]], dtype=np.float32), 5, mask)
    assert (found, scores.tolist()) == ([["b", "c"]], [[1.0, 0.0]])
    nothing, _ = index.search(np.array([[1, 0]], dtype=np.float32), 5, np.zeros(3, dtype=np.bool_))
    assert nothing == [[]]
    with pytest.raises(ValueError, match="mask"):
        index.search(np.array([[1, 0]], dtype=np.float32), 1, np.ones(2, dtype=np.bool_))


def test_a_loaded_index_is_mapped_into_memory_not_read(tmp_path: Path) -> None:
    Index(["a", "b"], np.eye(2, dtype=np.float32)).save(tmp_path)
    assert isinstance(Index.load(tmp_path).embeddings, np.memmap)


def test_files_of_two_indexes_are_refused(tmp_path: Path) -> None:
    vectors = _crowd(5_000)
    Index([str(i) for i in range(5_000)], vectors).save(tmp_path / "one")
    Index([str(i) for i in range(4_500)], vectors[:4_500]).save(tmp_path / "two")
    (tmp_path / "two" / "head.npy").replace(tmp_path / "one" / "head.npy")
    with pytest.raises(ToolbenchError, match="not of one index"):
        Index.load(tmp_path / "one")
