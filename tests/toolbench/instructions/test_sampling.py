"""Combinations: what must hold of any topic, whatever its size and shape."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workshop import an_api

from toolbench.instructions.sampling import APIS_PER_TOOL, TOOLS, WINDOW, allocate, sample, windows
from toolbench.records import Api, Combination, Group

SHAPES = st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=8)
"""APIs of each tool."""
SPLITS = {"train": 0, "tool": 1, "category": 2}


def topic(shape: Sequence[int], splits: Sequence[str] = ()) -> list[Api]:
    return [
        an_api(f"T{tool}", f"a{number}", split=splits[tool] if splits else "train")
        for tool, count in enumerate(shape)
        for number in range(count)
    ]


def tools_of(combination: Combination) -> Counter[str]:
    return Counter(api.rpartition("/")[0] for api in combination.apis)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.sampled_from(["I1", "I2", "I3"]), st.integers(0, 2**31))
def test_combinations_are_distinct_of_the_topic_and_fixed_by_the_seed(
    shape: list[int], group: Group, seed: int
) -> None:
    apis = topic(shape)
    where = {"collection": "Sky"} if group == "I3" else {"category": "Weather"}
    found = list(islice(sample(apis, group, **where, seed=seed), 60))
    assert found == list(islice(sample(apis[::-1], group, **where, seed=seed), 60))
    assert len({frozenset(c.apis) for c in found}) == len({c.id for c in found}) == len(found)
    for combination in found:
        assert set(combination.apis) <= {a.id for a in apis}
        assert len(set(combination.apis)) == len(combination.apis) > 0
        assert {"group": combination.group, **where}.items() <= vars_of(combination).items()


def vars_of(combination: Combination) -> dict[str, str]:
    return {"group": combination.group, "category": combination.category, "collection": combination.collection}


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 2**31))
def test_i1_deals_every_api_of_every_tool_once_all_windows_are_dealt(shape: list[int], seed: int) -> None:
    needed = sum(windows(count) for count in shape)
    found = list(sample(topic(shape), "I1", category="Weather", seed=seed))
    assert {api for c in found[:needed] for api in c.apis} == {a.id for a in topic(shape)}, "as early as can be"
    assert all(len(tools_of(c)) == 1 and len(c.apis) <= WINDOW for c in found)
    assert {api for c in found for api in c.apis} == {a.id for a in topic(shape)}
    first = Counter(next(iter(tools_of(c))) for c in found[: len(shape)])
    assert set(first.values()) == {1}, "a tool came again before all others had their turn"
    assert len(found) >= needed


def test_one_large_tool_among_many_small_ones_is_still_dealt_whole() -> None:
    apis = topic([1] * 600 + [21])
    found = list(sample(apis, "I1", category="Weather", seed=1))
    assert {api for c in found for api in c.apis} == {a.id for a in apis}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=8), st.sampled_from(["I2", "I3"]), st.integers(0, 2**31))
def test_multi_tool_groups_take_2_to_5_tools_and_at_most_3_apis_of_each(
    shape: list[int], group: Group, seed: int
) -> None:
    for combination in islice(sample(topic(shape), group, seed=seed), 60):
        counts = tools_of(combination)
        assert TOOLS[0] <= len(counts) <= TOOLS[1]
        assert max(counts.values()) <= APIS_PER_TOOL


@pytest.mark.parametrize("group", ["I2", "I3"])
def test_one_tool_is_too_few_for_several(group: Group) -> None:
    assert list(sample(topic([9]), group, seed=1)) == []
    assert list(sample([], group, seed=1)) == []


def test_another_seed_or_topic_is_another_order() -> None:
    apis = topic([4, 4, 4, 4])

    def first(**change: object) -> list[list[str]]:
        return [c.apis for c in islice(sample(apis, "I2", **({"category": "Weather", "seed": 1} | change)), 9)]  # type: ignore[arg-type]

    assert first() != first(seed=2)
    assert first() != first(category="Food")


def test_a_topic_is_exhausted_and_then_ends() -> None:
    found = list(sample(topic([3]), "I1", seed=3))
    assert {frozenset(c.apis) for c in found} <= {frozenset(s) for s in subsets([a.id for a in topic([3])])}
    assert len(found) == 7  # every subset of three
    assert len(list(sample(topic([1, 1]), "I2", seed=3))) == 1


def subsets(items: list[str]) -> list[list[str]]:
    return [[x for n, x in enumerate(items) if mask >> n & 1] for mask in range(1, 1 << len(items))]


def test_the_first_combinations_of_a_huge_topic_come_without_the_others() -> None:
    drawn = sample(topic([30] * 60), "I2", category="Weather", seed=1)
    assert not isinstance(drawn, list)
    assert len(list(islice(drawn, 3))) == 3  # there are more than 10^20 combinations


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(sorted(SPLITS)), min_size=2, max_size=6), st.integers(0, 99))
def test_a_combination_is_held_out_as_its_strictest_api(splits: list[str], seed: int) -> None:
    apis = topic([2] * len(splits), splits)
    split_of = {a.id: a.split for a in apis}
    for combination in islice(sample(apis, "I2", seed=seed), 30):
        assert combination.split == max((split_of[i] for i in combination.apis), key=SPLITS.__getitem__)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=4), st.integers(0, 10**6), max_size=50), st.integers(0, 10**6))
def test_shares_add_up_and_are_fair(sizes: dict[str, int], total: int) -> None:
    shares = allocate(sizes, total)
    assert shares.keys() == sizes.keys()
    filled = {key for key, size in sizes.items() if size > 0}
    assert sum(shares.values()) == (total if filled else 0)
    assert all(shares[key] == 0 for key in sizes.keys() - filled)
    whole = sum(math.sqrt(sizes[key]) for key in filled)
    for key in filled:
        assert abs(shares[key] - total * math.sqrt(sizes[key]) / whole) < 1
        assert all(shares[key] >= shares[other] for other in filled if sizes[key] > sizes[other])


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.sampled_from(["I1", "I2", "I3"]), st.integers(0, 2**31), st.data())
def test_every_combination_holds_a_fresh_api_and_all_fresh_ones_are_dealt(
    shape: list[int], group: Group, seed: int, data: st.DataObject
) -> None:
    apis = topic(shape)
    fresh = set(data.draw(st.lists(st.sampled_from([a.id for a in apis]), min_size=1)))
    found = list(islice(sample(apis, group, category="Weather", seed=seed, fresh=fresh), 200))
    assert all(fresh & set(c.apis) for c in found)
    assert len({c.id for c in found}) == len(found)
    assert all(len(set(c.apis)) == len(c.apis) for c in found)
    if group == "I1":
        assert all(len(tools_of(c)) == 1 and len(c.apis) <= WINDOW for c in found)
        assert fresh <= {api for c in found for api in c.apis}
    elif len(shape) > 1:
        assert all(TOOLS[0] <= len(tools_of(c)) <= TOOLS[1] for c in found)
        assert all(max(tools_of(c).values()) <= APIS_PER_TOOL for c in found)
    else:
        assert found == []


def test_everything_fresh_is_the_same_as_nothing_said() -> None:
    apis = topic([3, 7, 1])
    for group in ("I1", "I2"):
        every = list(islice(sample(apis, group, seed=4, fresh={a.id for a in apis}), 30))  # type: ignore[arg-type]
        assert every == list(islice(sample(apis, group, seed=4), 30))  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.tuples(st.integers(0, 900), st.integers(0, 50)), max_size=9),
    st.integers(0, 500),
)
def test_floors_are_kept_to_where_there_is_enough(topics: dict[str, tuple[int, int]], total: int) -> None:
    sizes = {key: size for key, (size, _) in topics.items()}
    floors = {key: floor for key, (size, floor) in topics.items() if size}
    shares = allocate(sizes, total, floors)
    assert shares.keys() == sizes.keys()
    assert sum(shares.values()) == (total if any(sizes.values()) else 0)
    assert all(shares[key] == 0 for key, size in sizes.items() if not size)
    if sum(floors.values()) <= total:
        assert all(shares[key] >= floor for key, floor in floors.items())
    else:
        assert shares == allocate(sizes, total)
