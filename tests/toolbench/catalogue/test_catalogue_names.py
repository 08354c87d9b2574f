"""Names and ids, by the conformance notes' rules."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.catalogue import names
from toolbench.catalogue.splits import Holdout


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        ("20+ Ad Descriptions Generator", "get_20_ad_descriptions_generator"),
        ("AdCopy AI - Google Ads AI Text Generation", "adcopy_ai_google_ads_ai_text_generation"),
        ("__Weird--Name__", "weird_name"),
        ("天气 API", "天气_api"),
        ("a^b", "a^b"),
        ("AI Content Detector | AI/GPT", "ai_content_detector_ai_gpt"),
        ("오류", ""),
        ("!!!", ""),
    ],
)
def test_standardise(spelled: str, expected: str) -> None:
    assert names.standardise(spelled) == expected


@given(st.text())
def test_standardise_twice_changes_nothing(name: str) -> None:
    assert names.standardise(names.standardise(name)) == names.standardise(name)


@pytest.mark.parametrize("word", ["from", "class", "return", "false", "true", "id", "and"])
def test_keywords_get_a_prefix(word: str) -> None:
    assert names.property_names([word.title()], ["query"]) == [f"is_{word}"]


@pytest.mark.parametrize(
    ("category", "folder"),
    [
        ("News, Media", "News_Media"),
        ("Artificial Intelligence/Machine Learning", "Artificial_Intelligence_Machine_Learning"),
        ("Video, Images", "Video_Images"),
        ("a,, b", "a__b"),
    ],
)
def test_category_folder_collapses_once(category: str, folder: str) -> None:
    assert names.category_folder(category) == folder


def test_function_name_is_the_last_64_characters() -> None:
    api, tool = "x" * 40, "y" * 40
    assert names.function_names([(api, tool)], ["c/t/a"]) == [f"{api}_for_{tool}"[-64:]]


def test_all_members_of_a_collision_are_hashed_by_their_own_id() -> None:
    pairs = [("Search", "Mail"), ("search!", "Mail"), ("Other", "Mail")]
    both = names.function_names(pairs, ["c/mail/1", "c/mail/2", "c/mail/3"])
    assert both[2] == "other_for_mail"
    assert len(set(both)) == 3
    assert both[0] == f"search_for_mail-{names.short_hash('c/mail/1')}"
    assert names.function_names(pairs[::-1], ["c/mail/3", "c/mail/2", "c/mail/1"]) == both[::-1]


@given(st.lists(st.tuples(st.text(), st.text()), max_size=8))
def test_function_names_are_callable_and_unique(pairs: list[tuple[str, str]]) -> None:
    ids = [f"c/{i}" for i in range(len(pairs))]
    found = names.function_names(pairs, ids)
    assert len(set(found)) == len(pairs)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in found)


def test_ids_of_namesakes_and_of_names_that_standardise_to_nothing() -> None:
    found = names.distinct_ids("Weather/tool", ["Now", "now", "오류", "오류!"], ["1", "2", "3", "4"])
    assert found[0] == f"Weather/tool/now-{names.short_hash('1')}"
    assert found[2] == f"Weather/tool/unnamed-{names.short_hash('3')}"
    assert len(set(found)) == 4


def test_splits_are_decided_by_id_alone() -> None:
    holdout = Holdout(tool_share=0.3, categories=("News, Media",), salt="s")
    ids = [f"Data/tool_{i}" for i in range(400)]
    splits = {i: holdout.split_of("Data", i) for i in ids}
    assert 80 < sum(s == "tool" for s in splits.values()) < 160
    assert {i: holdout.split_of("Data", i) for i in reversed(ids)} == splits
    assert holdout.split_of("News_Media", ids[0]) == "category"
    assert Holdout(tool_share=0.3, salt="other").split_of("Data", ids[0]) in ("train", "tool")
    assert Holdout(category_share=0.999999).split_of("Data", "Data/x") == "category"
    assert Holdout().split_of("Data", "Data/x") == "train"
