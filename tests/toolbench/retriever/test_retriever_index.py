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
