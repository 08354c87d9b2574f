from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from toolbench.records import RetrievalPair
from toolbench.retriever.batching import plan


def _pair(query: str, api: str, document: str) -> RetrievalPair:
    return RetrievalPair(
        id=f"{query}/{api}/{document}", query_id=query, query=query, api_id=api, document=document, group="I2",
        category="", collection="", split="train", model="none",
    )  # fmt: skip


_names = st.integers(0, 6).map(str)
_pairs = st.lists(st.builds(_pair, _names, _names, _names), max_size=40)


@given(_pairs, st.integers(2, 8), st.integers(1, 3), st.integers(0, 5))
def test_no_batch_contains_a_false_negative(pairs: list[RetrievalPair], size: int, epochs: int, seed: int) -> None:
    relevant_apis = {(p.query, p.api_id) for p in pairs}
    relevant_texts = {(p.query, p.document) for p in pairs}
    for batch in plan(pairs, size, epochs, seed):
        assert 2 <= len(batch) <= size
        for i in batch:
            for j in batch:
                if i != j:
                    assert (pairs[i].query, pairs[j].api_id) not in relevant_apis
                    assert (pairs[i].query, pairs[j].document) not in relevant_texts


@given(_pairs, st.integers(2, 8), st.integers(1, 3))
def test_an_epoch_uses_a_pair_at_most_once(pairs: list[RetrievalPair], size: int, epochs: int) -> None:
    used = Counter(i for batch in plan(pairs, size, epochs, 0) for i in batch)
    assert all(n <= epochs for n in used.values())


def test_pairs_without_conflict_fill_their_batches_and_are_all_used() -> None:
    pairs = [_pair(f"q{i}", f"a{i}", f"d{i}") for i in range(10)]
    batches = plan(pairs, 4, 2, 0)
    assert [len(b) for b in batches] == [4, 4, 2, 4, 4, 2]
    assert sorted(i for b in batches[:3] for i in b) == list(range(10))
    assert batches[:3] != batches[3:], "each epoch has its own order"


def test_the_seed_fixes_the_plan() -> None:
    pairs = [_pair(f"q{i}", f"a{i}", f"d{i}") for i in range(10)]
    assert plan(pairs, 4, 2, 7) == plan(pairs, 4, 2, 7) != plan(pairs, 4, 2, 8)


def test_one_query_alone_has_nothing_to_contrast() -> None:
    assert plan([_pair("q", f"a{i}", f"d{i}") for i in range(5)], 4, 1, 0) == []
