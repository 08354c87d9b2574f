"""Collections: of which size, of what, and that no order shows."""

import random
from collections import Counter, defaultdict
from itertools import product
from string import ascii_lowercase

from hypothesis import given, settings
from hypothesis import strategies as st

from toolbench.catalogue.collections import LARGEST, SMALLEST, collections_of

Tools = dict[str, tuple[str, str, str]]

WORDS = st.sampled_from(["forecast", "recipe", "song", "hotel", "stadium", "bank", "planet", "the", "for", "movie"])
TEXTS = st.lists(WORDS, max_size=6).map(" ".join)
TOOLS = st.dictionaries(
    st.integers(0, 400).map("t{:03}".format),
    st.tuples(st.sampled_from(["Weather", "Food", "Video_Images"]), TEXTS, TEXTS),
    max_size=90,
)


def gathered(found: dict[str, list[str]]) -> dict[str, set[str]]:
    members = defaultdict(set)
    for tool_id, names in found.items():
        for name in names:
            members[name].add(tool_id)
    return members


def crowd(n: int, category: str, title: str, start: int = 0) -> Tools:
    return {f"{category}/{title}{i:03}": (category, title, "") for i in range(start, start + n)}


REST = {f"Other/{a}{b}": ("Other", f"thing{a}{b}", "") for a, b in product(ascii_lowercase, "abcdefghijkl")}
"""Tools that have nothing in common, so that a word is telling at all."""


@settings(deadline=None)
@given(TOOLS, st.randoms(use_true_random=False))
def test_sizes_are_kept_and_the_order_of_the_tools_decides_nothing(tools: Tools, shuffle: random.Random) -> None:
    found = collections_of(tools)
    assert all(names == sorted(set(names)) and 1 <= len(names) <= 2 for names in found.values())
    for name, members in gathered(found).items():
        assert SMALLEST <= len(members) <= LARGEST
        categories = {tools[i][0] for i in members}
        assert len(categories) == 1 if name.endswith(")") else len(categories) >= 2
    items = list(tools.items())
    shuffle.shuffle(items)
    assert collections_of(dict(items)) == found


def test_a_word_gathers_tools_across_categories_first() -> None:
    tools = crowd(3, "Travel", "hotel") | crowd(3, "Business", "hotel") | REST
    assert gathered(collections_of(tools)) == {"hotel": {i for i in tools if "hotel" in i}}


def test_a_word_of_one_category_gathers_its_tools_there() -> None:
    tools = crowd(5, "Video_Images", "thumbnail") | REST
    assert gathered(collections_of(tools)) == {"thumbnail (Video Images)": {i for i in tools if "thumbnail" in i}}


def test_four_tools_are_too_few() -> None:
    assert collections_of(crowd(4, "Travel", "hotel") | REST) == {}


def test_what_a_full_collection_leaves_over_is_gathered_by_category() -> None:
    tools = crowd(48, "Travel", "hotel") | crowd(30, "Business", "hotel") | REST
    members = gathered(collections_of(tools))
    assert len(members["hotel"]) == LARGEST
    left = {i for i in tools if "hotel" in i} - members["hotel"]
    assert left == set().union(*(m for name, m in members.items() if name != "hotel"))
    assert set(members) <= {"hotel", "hotel (Travel)", "hotel (Business)"}


def test_a_word_said_once_by_the_way_counts_at_home_only() -> None:
    said = {f"Food/{i}": ("Food", f"name{c}", "with a recipe") for i, c in enumerate("abcdef")}
    abroad = {f"Other/r{i}": ("Other", f"again{c}", "no recipe here") for i, c in enumerate("ab")}
    assert gathered(collections_of(said | abroad | REST)) == {"recipe (Food)": set(said)}


def test_words_without_a_topic_name_nothing() -> None:
    tools = {f"{'AB'[i % 2]}/{i}": ("AB"[i % 2], "Fast API Data Checker", "the best test") for i in range(20)}
    assert collections_of(tools | REST) == {}


def test_many_tools_of_one_kind_are_cut_into_collections_of_at_most_fifty() -> None:
    tools = crowd(120, "Travel", "hotel") | crowd(1, "Business", "hotel") | REST | crowd(300, "Other", "", 100)
    sizes = Counter(name for names in collections_of(tools).values() for name in names)
    assert sizes == {"hotel": 50, "hotel (Travel)": 50}
