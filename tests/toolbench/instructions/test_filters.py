"""Every filter objects to its planted fault, and to nothing that is clean."""

import pytest
from workshop import an_api

from toolbench.instructions import filters
from toolbench.instructions.filters import Written

FORECAST = an_api("Sky", "getForecast")
TIDE = an_api("Sea", "Tide", function="tide_for_sea")
SHOUTED = an_api("Loud", "SEARCH_CITY", function="search_city_for_loud")
CANDIDATES = {api.function: api for api in (FORECAST, TIDE, SHOUTED)}
CLEAN = Written("Will it rain in Oslo tomorrow, and when is high tide there?", [FORECAST.function, TIDE.function])


def test_a_clean_instruction_passes_every_filter() -> None:
    assert filters.relevant_apis(CLEAN, CANDIDATES) is None
    assert filters.several_tools(CLEAN, CANDIDATES, "I2") is None
    assert filters.names_an_api(CLEAN, CANDIDATES) is None
    assert filters.length(CLEAN, 5, 200) is None


def test_relevant_apis_are_candidates() -> None:
    assert filters.relevant_apis(Written("x", []), CANDIDATES) == ("no_relevant_api", "No relevant API is named.")
    reason = filters.relevant_apis(Written("x", [FORECAST.function, "invented"]), CANDIDATES)
    assert reason == ("hallucinated_api", "Relevant API 'invented' is none of the candidates.")


@pytest.mark.parametrize("group", ["I2", "I3"])
def test_a_multi_tool_instruction_needs_two_tools(group: str) -> None:
    reason = filters.several_tools(Written("x", [FORECAST.function]), CANDIDATES, group)
    assert reason is not None
    assert reason[0] == "single_tool"
    assert FORECAST.tool_id in reason[1]
    assert filters.several_tools(Written("x", [FORECAST.function]), CANDIDATES, "I1") is None


@pytest.mark.parametrize(
    "text",
    [
        "Give me getForecast of Oslo please.",
        "Give me GETFORECAST of Oslo please.",
        "Please run tide_for_sea for Oslo today.",
        "Ask SEARCH_CITY where Oslo is, please.",
        "Use the weather API to look at Oslo.",
        "Tell me via the sea endpoint about Oslo.",
        "Tell me through your weather APIs about Oslo.",
    ],
)
def test_a_text_names_no_api(text: str) -> None:
    reason = filters.names_an_api(Written(text, []), CANDIDATES)
    assert reason is not None
    assert reason[0] == "api_named"


@pytest.mark.parametrize(
    "text",
    [
        "When is the tide in Oslo highest today?",  # an API's name that is a plain word
        "I call my mother in Oslo every day: how is the weather there?",
        "I use a therapist in Oslo: when does she open?",
    ],
)
def test_plain_words_are_no_names(text: str) -> None:
    assert filters.names_an_api(Written(text, []), CANDIDATES) is None


def test_length_counts_words() -> None:
    assert filters.length(Written("one two three four", []), 5, 6) == ("too_short", "4 words are fewer than 5.")
    assert filters.length(Written("one two three four five six seven", []), 5, 6) == (
        "too_long",
        "7 words are more than 6.",
    )
    assert filters.length(Written("one two three four five", []), 5, 6) is None
    assert filters.length(Written("one two three four five six", []), 5, 6) is None


def test_equal_texts_that_look_different_are_equal() -> None:
    assert filters.normalised("Is it RAINING,  in Oslo?") == filters.normalised("is it raining in oslo")
    assert filters.normalised("Is it raining in Oslo?") != filters.normalised("Is it raining in Rome?")
