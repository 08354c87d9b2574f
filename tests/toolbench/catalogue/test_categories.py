from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.catalogue.categories import category_of, safe_folder, topics
from toolbench.catalogue.names import category_folder


@pytest.mark.parametrize(
    ("info", "given", "tags", "category"),
    [
        ({}, None, (), ""),
        ({}, "", (), ""),
        ({"x-category": "News, Media"}, "Food", ("Weather",), "News_Media"),
        ({"x-category": "Zoo keeping"}, None, (), "Zoo_keeping"),
        ({"x-category": "../.."}, "Food", (), "Food"),
        ({"x-category": 7, "x-apisguru-categories": 7}, None, (), ""),
        ({"x-apisguru-categories": ["nothing known", "iot"]}, "Food", ("Weather",), "Devices"),
        ({"x-apisguru-categories": ["hosting"]}, None, (), "Storage"),
        ({"x-category": "Food", "x-apisguru-categories": ["iot"]}, None, (), "Food"),
        ({}, "Food", ("Weather",), "Food"),
        ({}, "Animals, Pets", ("Weather",), "Animals_Pets"),
        ({}, None, ("weather",), "Weather"),
        ({}, None, ("Video, Images",), "Video_Images"),
        ({}, None, ("Health and Fitness", "v1"), "Health_and_Fitness"),
        ({}, None, ("E-Mail", "Payments", "payments"), "Payments"),
    ],
)
def test_who_names_the_category(info: dict[str, Any], given: str | None, tags: tuple[str, ...], category: str) -> None:
    assert category_of(info, given, tags) == category


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param(("Weather", "Travel"), id="two categories"),
        pytest.param(("search", "orders", "customers"), id="a part of the service"),
        pytest.param(("Other",), id="Other says nothing"),
        pytest.param((None, 3, "", "!", {"name": "Weather"}), id="no tags at all"),
    ],
)
def test_tags_that_name_no_category(tags: tuple[Any, ...]) -> None:
    assert category_of({}, None, tags) == ""


@given(
    st.dictionaries(
        st.sampled_from(["x-category", "x-apisguru-categories"]),
        st.text() | st.lists(st.text() | st.none()) | st.none(),
    ),
    st.none() | st.text(),
    st.lists(st.text() | st.none() | st.integers() | st.sampled_from(list(topics()))),
)
def test_any_document_gives_a_safe_folder_or_nothing(
    info: dict[str, Any], given: str | None, tags: list[str | None]
) -> None:
    folder = category_of(info, given, tags)
    assert folder == folder.strip("_-")
    assert not set(folder) & set("/\\.\0\n")
    assert category_of(info, given, tags[::-1]) == folder


def test_all_49_categories_are_described_in_own_words() -> None:
    assert len(topics()) == 49
    for folder, topic in topics().items():
        assert set(topic) == {"description", "words"}
        assert folder == category_folder(folder) == safe_folder(folder)
        assert 30 < len(topic["description"]) < 300
        assert topic["description"].endswith(".")
        assert len(topic["words"]) == len(set(topic["words"])) <= 25
        assert all(w == w.lower() and w.isalpha() for w in topic["words"])
