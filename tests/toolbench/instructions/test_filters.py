"""Every filter objects to its planted fault, and to nothing that is clean."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from workshop import an_api

from toolbench import catalogue
from toolbench.errors import UsageError
from toolbench.instructions import filters, native, prompting
from toolbench.instructions.filters import Written
from toolbench.records import Api
from toolbench.teacher.offline import Faults
from toolbench.teacher.offline.complete import complete

FORECAST = an_api("Sky", "getForecast")
TIDE = an_api("Sea", "Tide", function="tide_for_sea")
SHOUTED = an_api("Loud", "SEARCH_CITY", function="search_city_for_loud")
OTHERS = [
    an_api(tool, name)
    for tool, name in (
        ("Moon", "Day and Night"),
        ("Pictures", "/photo/all"),
        ("Sea", "GetTideTable"),
        ("News", "CoinDesk"),
        ("Astro Picture", "Astro Picture"),
        ("Files", "Download/Stream"),
    )
]
CANDIDATES = {api.function: api for api in (FORECAST, TIDE, SHOUTED, *OTHERS)}
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
        "Tell me about Oslo using the 'Sky & Sea' API.",
        "How do I use the Face Animer API for a picture?",
        "Show me Oslo with the Day and Night tool.",
        "Is Oslo in the 'day and night' function?",
        "Send it to /photo/all for me, please.",
        "Ask GetTideTable how high the water is.",
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
        "What do CoinDesk and the Guardian write about Oslo?",  # brands
        "Show me Oslo with the Astro Picture tool.",
        "Find photos of Oslo with the Moon tool.",
        "What is the download/stream speed in Oslo?",
        "Can you recommend an API that knows the weather in Oslo?",
        "I use Python at work and need to find out which weather API is the best.",
        "Show me how often my bakery in Oslo was visited using my API key 1234.",
        "How do I use the SUM function in a table?",
        "Is day and night equally long in Oslo?",
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


@pytest.mark.parametrize(
    ("text", "relevant", "group", "reason"),
    [
        ("Oslo?", ["invented"], "I1", "too_short"),
        ("Use the weather API for my city now", ["invented"], "I2", "hallucinated_api"),
        ("Use the weather API for my city now", ["tide_for_sea"], "I2", "single_tool"),
        ("Use the weather API for my city now", ["tide_for_sea"], "I1", "api_named"),
        ("Wie kann ich mich umbringen in meiner Stadt?", ["tide_for_sea"], "I1", "wrong_language"),
        ("How do I build a bomb in my city?", ["tide_for_sea"], "I1", "unsafe"),
        ("How high is the tide in my city?", ["tide_for_sea"], "I1", "missing_value"),
        ("How high is the tide in Oslo?", ["tide_for_sea"], "I1", None),
    ],
)
def test_the_first_reason_in_the_documented_order_counts(
    text: str, relevant: list[str], group: str, reason: str | None
) -> None:
    found = filters.check(Written(text, relevant), CANDIDATES, group, shortest=5, longest=200, language="English")
    assert (found[0] if found else None) == reason
    assert found is None or found[1].endswith(".")


def test_without_a_language_any_is_taken_and_an_unknown_one_is_said() -> None:
    written = Written("Wie hoch ist die Flut in Oslo?", ["tide_for_sea"])
    assert filters.check(written, CANDIDATES, "I1", shortest=5, longest=200) is None
    with pytest.raises(UsageError, match="Elvish"):
        filters.check(written, CANDIDATES, "I1", shortest=5, longest=200, language="Elvish")


@pytest.fixture(scope="module")
def hub_apis(hub_documents: Path) -> list[Api]:
    """The APIs of the demo hub."""
    return list(catalogue.read(str(hub_documents), holdout=catalogue.Holdout()).apis)


def offline_instructions(apis: list[Api], faults: Faults) -> Iterator[tuple[Written, dict[str, Api], str]]:
    """What the offline teacher writes for neighbours in the catalogue, five at a time."""
    for start in range(0, len(apis) - 4, 5):
        candidates = {api.function: api for api in apis[start : start + 5]}
        multi = len({api.tool_id for api in candidates.values()}) > 1
        messages = prompting.messages(list(candidates.values()), multi=multi, count=10, seed=start)
        reply = complete({"model": "m", "messages": messages}, faults)
        for item in json.loads(reply["choices"][0]["message"]["content"])["instructions"]:
            yield Written(item["instruction"], item["relevant_apis"]), candidates, "I2" if multi else "I1"


def judged(written: Written, candidates: dict[str, Api], group: str) -> str:
    reason = filters.check(written, candidates, group, shortest=5, longest=200, language="English")
    return reason[0] if reason else ""


def test_what_the_offline_teacher_writes_survives(hub_apis: list[Api]) -> None:
    reasons = [judged(*found) for found in offline_instructions(hub_apis, Faults())]
    assert len(reasons) > 100
    assert reasons.count("") >= 0.85 * len(reasons)


def test_every_planted_fault_is_caught_and_named(hub_apis: list[Api]) -> None:
    counts = {"hallucinated_api": 0, "api_named": 0}
    for written, candidates, group in offline_instructions(hub_apis, Faults(hallucination_rate=0.3, leak_rate=0.3)):
        planted = set()
        if any(name not in candidates for name in written.relevant):
            planted.add("hallucinated_api")
        if "You can use " in written.text:
            planted.add("api_named")
        reason = judged(written, candidates, group)
        assert reason in (planted or {"", "missing_value"}), written
        counts |= {reason: counts.get(reason, 0) + 1}
    assert counts["hallucinated_api"] > 10
    assert counts["api_named"] > 10


def test_of_real_test_queries_fewer_than_ten_in_a_hundred_are_rejected(data_dir: Path) -> None:
    reasons: list[str] = []
    for path in sorted((data_dir / "test_instruction").glob("*.json")):
        entries = native.read(str(path))
        apis = catalogue.apis_of_instructions(entries).apis
        by_id, find = {api.id: api for api in apis}, catalogue.Lookup(apis).find
        for entry in entries:
            row = native._instruction(entry, path.stem, find)
            candidates = {by_id[i].function: by_id[i] for i in row.candidates}
            reasons.append(judged(Written(row.text, [by_id[i].function for i in row.relevant]), candidates, row.group))
    if not reasons:
        pytest.skip(f"no test queries in {data_dir}")
    rejected = [reason for reason in reasons if reason]
    assert len(rejected) < 0.1 * len(reasons)
    assert set(rejected) == {"api_named", "missing_value"}
