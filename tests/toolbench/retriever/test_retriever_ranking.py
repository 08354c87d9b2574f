import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.errors import ToolbenchError
from toolbench.retriever.index import Index
from toolbench.retriever.lexical import Bm25Index
from toolbench.retriever.ranking import Ranking, Scores, combine, fuse
from toolbench.retriever.searchers import Dense, Hybrid
from toolbench.settings import FusionSettings

DOCUMENTS = {"c": "rain and sun in a city", "a": "the moon", "b": "rain_rain get-rain", "d": "the moon", "e": ""}


def index() -> Bm25Index:
    return Bm25Index.build(list(DOCUMENTS), list(DOCUMENTS.values()))


def test_words_decide_and_equal_documents_come_by_id() -> None:
    rain, moon, nothing, stop = index().rank(["Rain!", "moon", "xyzzy", "the and of"], 5)
    assert rain.api_ids == ["b", "c"]
    assert rain.scores[0] > rain.scores[1] > 0
    assert moon.api_ids == ["a", "d"]
    assert moon.scores[0] == moon.scores[1]
    assert nothing == stop == Ranking([], []), "what shares no word is not found"


def test_only_what_is_allowed_is_found_by_words() -> None:
    (found,) = index().rank(["moon rain"], 5, np.array([i not in ("a", "b") for i in "abcde"]))
    assert found.api_ids == ["d", "c"]


@pytest.mark.parametrize("documents", [{}, {"a": "", "b": "the"}, {"a": "\ud800 雨"}])
def test_without_words_nothing_is_found_and_nothing_fails(documents: dict[str, str], tmp_path: Path) -> None:
    made = Bm25Index.build(list(documents), list(documents.values()))
    made.save(tmp_path)
    assert [r.api_ids for r in Bm25Index.load(tmp_path).rank(["moon", ""], 3)] == [[], []]


def test_a_saved_index_ranks_alike(tmp_path: Path) -> None:
    index().save(tmp_path)
    queries = ["rain in the city", "moon", "sun rain moon"]
    assert Bm25Index.load(tmp_path).rank(queries, 3) == index().rank(queries, 3)
    (tmp_path / "bm25.json").write_text('{"words": true, "api_ids": ["a"]}')
    with pytest.raises(ToolbenchError, match="no readable BM25 index"):
        Bm25Index.load(tmp_path)


def test_documents_and_ids_must_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Bm25Index.build(["a", "a"], ["x", "y"])


def test_words_need_no_torch() -> None:
    code = (
        "import sys; from toolbench.retriever import Bm25Index, scores\n"
        "r = Bm25Index.build(['a', 'b'], ['moon', 'sun']).rank(['sun'], 1)[0].api_ids\n"
        "print(scores({'q': r}, {'q': ['b']}, (1,))['ndcg@1']['q'], 'torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["1.0", "False"]


def test_fusion_by_hand() -> None:
    found = fuse([["a", "b"], ["b", "c"]], (1.0, 2.0), 60, 5)
    assert found.api_ids == ["b", "c", "a"]
    assert found.scores == pytest.approx([1 / 62 + 2 / 61, 2 / 62, 1 / 61])
    assert fuse([["b"], ["a"]], (1.0, 1.0), 60, 1).api_ids == ["a"], "equal scores go by id"


@given(st.lists(st.permutations("abcdef"), min_size=1, max_size=3), st.integers(1, 100), st.integers(1, 7))
def test_fusing_a_ranking_with_itself_changes_nothing(rankings: list[list[str]], constant: int, k: int) -> None:
    once = [rankings[0]]
    assert fuse(once * 3, [1.0, 0.5, 2.0], constant, k).api_ids == rankings[0][:k]
    found = fuse(rankings, [1.0] * len(rankings), constant, k)
    assert found.scores == sorted(found.scores, reverse=True)
    first = [min(r.index(i) for r in rankings) for i in found.api_ids]
    assert all(0 <= rank < 6 for rank in first)


def scores(*values: float) -> Scores:
    return np.array(values, dtype=np.float32)


def test_scores_are_combined_by_hand() -> None:
    found = combine(["a", "b", "c"], scores(0.9, 0.5, 0.4), scores(0, 4, 8), 0.5, 3)
    # a: 0.9 · b: 0.5 + 0.5 · 4/8 · c: 0.4 + 0.5 · 8/8.
    assert (found.api_ids, found.scores) == (["a", "c", "b"], pytest.approx([0.9, 0.9, 0.75]))
    assert combine(["b", "a"], scores(0.1, 0.1), scores(0, 0), 1.0, 5).api_ids == ["a", "b"]
    assert combine([], scores(), scores(), 1.0, 5) == Ranking([], [])
    assert combine(["b", "a"], scores(0.2, 0.1), scores(0, 1), 0.5, 1).api_ids == ["a"]


def test_a_hybrid_weighs_both_sides_and_refuses_two_corpora() -> None:
    angles = {"a": 0.1, "b": 0.7, "c": 0.8, "d": 0.2, "e": 0.9}
    near = Index(list(angles), np.array([[cosine, (1 - cosine**2) ** 0.5] for cosine in angles.values()], np.float32))
    dense = Dense(lambda texts: np.array([[1.0, 0.0] for _ in texts], dtype=np.float32), near)

    def found(query: str, k: int, **fusion: Any) -> list[str]:
        return Hybrid(dense, index(), FusionSettings(**fusion)).rank([query], k)[0].api_ids

    assert found("rain", 3, method="ranks", bm25_weight=1) == ["b", "c", "e"]
    # By words alone b counts 1 and c less, all others nothing.
    assert found("rain", 3, bm25_weight=0.35) == ["b", "c", "e"]
    assert found("rain", 5, bm25_weight=0) == found("xyzzy", 5, bm25_weight=1) == ["e", "c", "b", "d", "a"]
    assert found("rain", 1, bm25_weight=0.35, depth=1) == ["b"], "e and b are looked at, and b has its cosine"
    assert found("rain", 2, bm25_weight=0.35, depth=1) == ["b", "c"]
    allowed = np.array([i in "ad" for i in angles])
    assert Hybrid(dense, index(), FusionSettings()).rank(["moon rain"], 5, allowed)[0].api_ids == ["d", "a"]
    with pytest.raises(ValueError, match="different APIs"):
        Hybrid(dense, Bm25Index.build(["x"], ["y"]), FusionSettings())
