"""Required parameters have values in the text: what has none is named, and a tolerant rule lets the rest pass."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workshop import an_api

from toolbench.instructions import seeds
from toolbench.instructions.required import missing_value
from toolbench.instructions.written import Written
from toolbench.records import Api, Parameter


def needs(name: str, kind: str = "string", *, schema: Mapping[str, Any] | None = None, **fields: Any) -> Api:
    """An API, "Sky", with one required parameter."""
    api = fields.pop("api", "lookup")
    properties = {name: {"type": kind, **(schema or {})}}
    definition = {"name": "f", "description": "", "parameters": {"type": "object", "properties": properties}}
    parameter = Parameter(**{"name": name, "shown_as": name, "type": kind, "required": True, **fields})
    return an_api("Sky", api, parameters=[parameter], definition=json.dumps(definition))


def problem(text: str, api: Api, *others: Api) -> str:
    reason = missing_value(Written(text, [api.function]), {a.function: a for a in (api, *others)})
    assert reason is None or reason[0] == "missing_value"
    return reason[1] if reason else ""


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("song", "string", "Who wrote my favourite song?"),
        ("song_title", "string", "Find the lyrics of a certain song title for me, please."),
        ("city", "string", "What is the weather like in my city?"),
        ("lat", "number", "Is it windy at a specific location?"),
        ("date", "string", "Find a flight for us, on the date of the party."),
        ("amount", "number", "Convert some of my dollars to euros."),
        ("email", "string", "Check the addresses of all guests, 12 in number."),
        ("url", "string", "Make a picture of the website that belongs to our school."),
        ("ip", "string", "Where is the server of the school?"),
        ("phone", "string", "Is the phone of my mother reachable?"),
        ("team_name", "string", "When does my team play?"),
        ("symbol", "string", "What is my share worth?"),
        ("username", "string", "Show me the posts of my sister."),
        ("person_id", "string", "Check whether the person ID of the man is taken."),
        ("keyword", "string", "Search the news by a specific keyword."),
        ("city", "string", "Tell me on Sky how warm it is in my city."),  # the tool's title is no value
    ],
)
def test_a_parameter_without_a_value_is_named(name: str, kind: str, text: str) -> None:
    assert repr(name) in problem(text, needs(name, kind))


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("song", "string", "Who wrote 'yesterday'?"),
        ("song_title", "string", "Find the lyrics of Yesterday."),
        ("city", "string", "What is the weather like in Oslo?"),
        ("city", "string", "Oslo: how is the weather?"),
        ("city", "string", "what is the weather like in oslo?"),  # a text without capitals
        ("city", "string", "東京の天気はどうですか"),
        ("lat", "number", "Is it windy on Mount Fuji?"),
        ("lat", "number", "Is it windy at 35.4, 138.7?"),
        ("date", "string", "Find a flight for us, next Friday."),
        ("date", "string", "What happened on 4/7?"),
        ("amount", "number", "Convert a dozen dollars to euros."),
        ("email", "string", "Check jo@example.org."),
        ("url", "string", "Make a picture of example.org."),
        ("url", "string", "Make a picture of a popular url."),
        ("ip", "string", "Where is 10.0.0.1?"),
        ("ip", "string", "Where is 2001:db8::1?"),
        ("ip", "string", "Where is the server of example.org?"),
        ("phone", "string", "Is +47 22 00 00 00 reachable?"),
        ("zip", "string", "Which town has the code SW1A?"),
        ("zip", "string", "Which cinemas are near the Eiffel Tower?"),
        ("symbol", "string", "What is NVDA worth?"),
        ("person_id", "string", "Look up person ID ab-17."),
        ("person_id", "string", "Show me the man at the door."),  # nobody says ids
        ("keyword", "string", "Search the news about bees and honey."),
        ("text", "string", "Is my cat is hungry correct?"),
        ("page", "number", "Show me the films."),
        ("format", "string", "Show me the films."),
        ("verbose", "boolean", "Show me the films."),
        ("body", "object", "Show me the films."),
    ],
)
def test_a_value_or_what_may_be_one_passes(name: str, kind: str, text: str) -> None:
    assert problem(text, needs(name, kind)) == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"required": False},
        {"secret": True},
        {"default": '"Oslo"'},
    ],
)
def test_optional_secret_and_documented_parameters_are_not_asked_for(fields: dict[str, Any]) -> None:
    text = "What is the weather like in my city?"
    assert problem(text, needs("city"))
    assert problem(text, needs("city", **fields)) == ""


def test_only_relevant_apis_are_looked_at() -> None:
    api = needs("city")
    assert missing_value(Written("How is the weather in my city?", []), {api.function: api}) is None
    assert missing_value(Written("How is the weather in my city?", ["unknown"]), {api.function: api}) is None


def test_an_id_that_another_candidate_delivers_is_not_missing() -> None:
    text = "Tell me the match ID of the last game and who scored."
    api = needs("match_id")
    assert "'match ID'" in problem(text, api)
    assert problem(text, api, an_api("Ball", "List matches")) == ""
    assert problem(text, api, an_api("Ball", "Games", response_example='{"match_id": 3}')) == ""
    assert "'match ID'" in problem(text, api, an_api("Ball", "Scores"))
    assert problem(text, needs("match_id", description="As returned by the search")) == ""


def test_choices_are_made_in_any_words_but_vague_ones() -> None:
    api = needs("sport", schema={"enum": ["football", "ice_hockey"]})
    assert "specific sport" in problem("Who leads in a specific sport?", api)
    assert problem("Who leads in hockey, the particular sport I like?", api) == ""
    assert problem("Who leads on the pitch?", api) == ""
    assert problem("Which floods were there?", needs("disaster_type", "number", description="0: all, 1: floods")) == ""


def test_the_schema_s_format_counts() -> None:
    assert "date" in problem("When does it open?", needs("when", schema={"format": "date"}))
    assert problem("Does it open tomorrow?", needs("when", schema={"format": "date"})) == ""


def test_no_seed_lacks_a_value() -> None:
    problems = []
    for multi in (False, True):
        for seed in seeds.load(multi):
            apis = {str(api["name"]): _api(api) for api in seed.apis}
            for request in seed.requests:
                problems.append(missing_value(Written(request.text, list(request.relevant)), apis))
    assert len(problems) > 90
    assert [found for found in problems if found] == []


def _api(documented: Mapping[str, Any]) -> Api:
    parameters = [
        Parameter(name=p["name"], shown_as=p["name"], type=p["type"], required=p["required"])
        for p in documented["parameters"]
    ]
    return an_api(documented["tool"], documented["name"], function=documented["name"], parameters=parameters)


@given(
    st.text(max_size=200), st.text(max_size=20), st.sampled_from(["string", "number", "array"]), st.text(max_size=30)
)
def test_any_text_and_any_name_have_an_answer(text: str, name: str, kind: str, title: str) -> None:
    api = an_api(
        "Sky", title, parameters=[Parameter(name=name, shown_as=name, type=kind, required=True, description=title)]
    )
    reason = missing_value(Written(text, [api.function]), {api.function: api})
    assert reason is None or (reason[0] == "missing_value" and repr(name) in reason[1])
