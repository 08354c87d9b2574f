import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from retriever_pairs import CORPUS, MOON, RAIN, SONG, TRAINING, pair

from toolbench.records import RetrievalPair
from toolbench.retriever import RetrieverConfig
from toolbench.retriever.batching import plan
from toolbench.retriever.collating import Assembler
from toolbench.retriever.mining import Miner
from toolbench.retriever.negatives import Siblings, mine
from toolbench.retriever.validation import Validation, drawn, hold_back


def _pair(query: str, api: str, document: str) -> RetrievalPair:
    return RetrievalPair(
        id=f"{query}/{api}/{document}", query_id=query, query=query, api_id=f"c/t{int(api) // 2}/{api}",
        document=document, group="I2", category="", collection="", split="train", model="none",
    )  # fmt: skip


_names = st.integers(0, 6).map(str)
_pairs = st.lists(st.builds(_pair, _names, _names, _names), max_size=40)


@given(_pairs, st.integers(2, 8), st.integers(0, 3))
def test_no_document_is_a_negative_of_a_query_it_is_relevant_to(pairs: list[RetrievalPair], size: int, n: int) -> None:
    documents = {p.api_id: p.document for p in pairs} | {"c/t0/sister": "a sister"}
    siblings = Siblings(pairs, documents)
    relevant = {(p.query, name) for p in pairs for name in (p.api_id, p.document)}
    assembler = Assembler(pairs)

    def negatives(number: int, query: str) -> list[tuple[str, str]]:
        drawn = siblings.draw(query, n, str(number))
        assert not any((query, i) in relevant or (query, documents[i]) in relevant for i in drawn)
        return [(i, documents[i]) for i in drawn]

    for number, positions in enumerate(plan(pairs, size, 1, 0, together=True)):
        batch = assembler.assemble(number, positions, negatives)
        assert len(set(batch.queries)) == len(batch.queries)
        assert len(set(batch.documents)) == len(batch.documents)
        here = {(pairs[p].query, pairs[p].document) for p in positions}
        for query, row in zip(batch.queries, batch.relevance, strict=True):
            for document, relation in zip(batch.documents, row, strict=True):
                if (query, document) in relevant:
                    assert relation != 0
                if (query, document) in here:
                    assert relation == 1


@given(_pairs, st.integers(2, 8))
def test_together_a_batch_holds_all_pairs_of_its_queries_and_an_epoch_each_query_once(
    pairs: list[RetrievalPair], size: int
) -> None:
    seen: list[str] = []
    for positions in plan(pairs, size, 1, 0, together=True):
        queries = dict.fromkeys(pairs[p].query for p in positions)
        assert len(queries) <= size
        assert sorted(positions) == [i for i, p in enumerate(pairs) if p.query in queries]
        seen += queries
    assert len(set(seen)) == len(seen)


def test_siblings_are_the_other_apis_of_the_tool_drawn_by_the_seed() -> None:
    documents = {f"Weather/sky/{n}": f"sky {n}" for n in range(10)} | {"Weather/sea/tide": "tide", RAIN: CORPUS[RAIN]}
    siblings = Siblings([pair("find rain", RAIN)], documents)
    one = siblings.draw("find rain", 3, "0/1")
    assert len(one) == 3
    assert all(i.startswith("Weather/sky/") and i != RAIN for i in one)
    assert one == siblings.draw("find rain", 3, "0/1") != siblings.draw("find rain", 3, "0/2")
    assert len(siblings.draw("find rain", 50, "")) == 10


class _Fixed:
    """An encoder that knows its texts' vectors."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors

    def encode(self, texts: Any, progress: Any = None) -> Any:
        rows = np.array([self.vectors[t] for t in texts], dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


_VECTORS = {
    "rain?": [1.0, 0.0],
    "rain": [0.9, 0.436],
    "rains": [0.89, 0.456],
    "drizzle": [0.8, 0.6],
    "moon": [0.0, 1.0],
}
_DOCUMENTS = {"a/a/rain": "rain", "a/a/rains": "rains", "a/b/drizzle": "drizzle", "a/c/moon": "moon"}


def test_what_scores_as_well_as_the_relevant_one_is_not_mined() -> None:
    pairs = [
        RetrievalPair(
            id="1", query_id="1", query="rain?", api_id="a/a/rain", document="rain", group="I1", category="",
            collection="", split="train", model="none",
        )
    ]  # fmt: skip
    encoder: Any = _Fixed(_VECTORS)
    assert mine(encoder, pairs, _DOCUMENTS, 1, margin=0.95) == {"rain?": ["a/b/drizzle"]}
    assert mine(encoder, pairs, _DOCUMENTS, 5, margin=0.95) == {"rain?": ["a/b/drizzle", "a/c/moon"]}
    assert mine(encoder, pairs, _DOCUMENTS, 1, margin=1.0) == {"rain?": ["a/a/rains"]}


def test_mined_negatives_reach_the_batches_after_those_fetched_ahead_and_survive_a_kill(tmp_path: Path) -> None:
    pairs = [
        RetrievalPair(
            id="1", query_id="1", query="rain?", api_id="a/a/rain", document="rain", group="I1", category="",
            collection="", split="train", model="none",
        )
    ]  # fmt: skip
    batches = [[0]] * 20
    config = RetrieverConfig(epochs=2, mined=1)

    def miner() -> Miner:
        return Miner(pairs, batches, _DOCUMENTS, _DOCUMENTS, config, tmp_path)

    one, encoder = miner(), _Fixed(_VECTORS)
    one.resume(0, 1)
    assert [b for b in range(20) if one.due(b)] == list(range(10, 20))
    one.mine(encoder, 10)  # type: ignore[arg-type]
    assert not any(one.due(b) for b in range(20))
    assert one.negatives(11, "rain?") == []
    assert one.negatives(12, "rain?") == [("a/b/drizzle", "drizzle")]
    assert json.loads((tmp_path / "mined-10.json").read_text()) == {"rain?": ["a/b/drizzle"]}
    later, before = miner(), miner()
    later.resume(11, 1)
    assert later.negatives(12, "rain?") == one.negatives(12, "rain?")
    before.resume(10, 1)
    assert before.due(10), "what was mined after the checkpoint is mined again"


def test_validation_queries_are_held_back_whole_and_at_most_a_fifth() -> None:
    kept, back = hold_back(TRAINING, 3, 0)
    assert len({p.query for p in back}) == 3
    assert {p.query for p in kept}.isdisjoint(p.query for p in back)
    assert len(kept) + len(back) == len(TRAINING)
    assert len({p.query for p in hold_back(TRAINING, 1000, 0)[1]}) == len({p.query for p in TRAINING}) // 5
    assert hold_back(TRAINING, 0, 0) == (TRAINING, [])


def test_validation_scores_a_perfect_encoder_with_one() -> None:
    encoder: Any = _Fixed({"song please": [0.0, 1.0], CORPUS[SONG]: [0.0, 1.0], CORPUS[RAIN]: [1.0, 0.0]})
    validation = Validation([pair("song please", SONG)], {i: CORPUS[i] for i in (SONG, RAIN)})
    assert validation(encoder) == 1
    encoder.vectors["song please"] = [1.0, 0.0]
    assert validation(encoder) == pytest.approx(1 / np.log2(3))


def test_the_documents_of_all_pairs_are_searched_and_drawn_others() -> None:
    some = drawn(CORPUS, [pair("find moon", MOON)], 3, 0)
    assert MOON in some
    assert len(some) == 3
    assert drawn(CORPUS, TRAINING, 1, 0) == dict(sorted(CORPUS.items()))
