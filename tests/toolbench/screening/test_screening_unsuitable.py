"""Adult and junk tools: what is found, and what only looks like it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workshop import a_tool, an_api

from toolbench.screening import rulebook
from toolbench.screening.unsuitable import unsuitable

RULES = rulebook.load()


def rated(title: str, description: str = "", *names: tuple[str, str]) -> dict[str, str]:
    """Reason by the name of the API, of those that are unsuitable."""
    apis = [an_api("X", name, description=text) for name, text in names or (("forecast", "The weather of a city"),)]
    tool = replace(a_tool(apis[0], description), title=title)
    found = unsuitable(tool, apis, RULES)
    return {api.name: found[api.id].reason for api in apis if api.id in found}


@pytest.mark.parametrize(
    ("title", "description"),
    [
        ("Adult models", "Search queries of models and their ranking"),
        ("Get Japanese adult videos", "Returns commercial sample videos"),
        ("HentaiSearch", "Finds comics"),
        ("Video search", "Search millions of porn videos"),
        ("Dating", "Live sex chat with girls near you"),
    ],
)
def test_adult_tools_are_found(title: str, description: str) -> None:
    assert rated(title, description) == {"forecast": "adult"}


@pytest.mark.parametrize(
    ("title", "description"),
    [
        ("Sussex weather", "Observations from Essex and Sussex"),
        ("Courses", "Adult education and adult learning in your town"),
        ("Adult Image Detection", "Detect nudity and porn in images"),
        ("Content moderation", "Flags hate speech and adult content"),
        ("Charts", "Adult contemporary songs"),
        ("Names", "Age, sex and country of origin from a name"),
        ("Search", "Image search; adult content is excluded unless safe search is off"),
        ("Sextant", "Celestial navigation"),
        ("Shows", "Search shows, exclude adult videos with a flag"),
        ("Shop", "Follow us at https://onlyfans.com/shop"),
    ],
)
def test_tools_that_only_use_such_words_pass(title: str, description: str) -> None:
    assert rated(title, description) == {}


@pytest.mark.parametrize(
    ("title", "description", "name"),
    [
        ("test", "test", "test"),
        ("Test API v2", "Returns the price", "price"),
        ("asdasd", "fsafsafsa", "fasfas"),
        ("👋 Demo Project", "This Project is created by the onboarding process", "Login"),
        ("Hello World", "", "hello"),
        ("My first API", "A dog", "dog"),
        ("Weather", "this is my first api :)", "now"),
        ("hotspot", "test", "test"),
        ("x", "y", "z"),
        ("Pets", "This is a sample Petstore server.", "getPet"),
        ("Example #2", "Lorem ipsum dolor sit amet", "createPets"),
        ("AE588", "AE588 là nhà cái số 1 hiện nay", "AE588"),
    ],
)
def test_junk_tools_are_found(title: str, description: str, name: str) -> None:
    assert rated(title, description, (name, "")) == {name: "junk"}


@pytest.mark.parametrize(
    ("title", "description"),
    [
        ("Lorem Ipsum", "Generates placeholder text: lorem ipsum dolor sit amet"),
        ("Testimonials", "User testimonials"),
        ("Speed test", "Measures the bandwidth"),
        ("Test data generator", "Fake users for your tests"),
        ("QR", "Makes QR codes"),
        ("P2000", "The live feed of the Dutch emergency services"),
        ("COVID-19 tests", "Test centres near you"),
        ("Hash", "Hashes of a text"),
        ("Weather", "test"),
        ("ABC news", "Headlines"),
    ],
)
def test_tools_that_only_look_like_junk_pass(title: str, description: str) -> None:
    assert rated(title, description, ("current forecast", "By city")) == {}


def test_one_bad_api_does_not_condemn_its_tool() -> None:
    names = (("forecast", "The weather of a city"), ("test", "test"), ("history", "Past weather"))
    assert rated("Weather", "Weather of the world", *names) == {"test": "junk"}


def test_the_evidence_names_the_rule_and_the_text() -> None:
    api = an_api("X", "list")
    (hit,) = unsuitable(a_tool(api, "Search porn videos"), [api], RULES).values()
    evidence = json.loads(hit.evidence)
    assert evidence["rule"] == "porn"
    assert "Search porn videos" in evidence["text"]
    assert evidence["of"] == api.tool_id


def test_an_exception_passes_by_its_id() -> None:
    api = an_api("Test", "test")
    for name in (api.tool_id, api.id):
        rules = rulebook.parse(rulebook.shipped().replace("pass = []", f'pass = ["{name}"]'), "mine")
        assert unsuitable(a_tool(api), [api], RULES)
        assert not unsuitable(a_tool(api), [api], rules)


@given(st.text(max_size=200), st.text(max_size=2000))
def test_any_text_is_rated(title: str, description: str) -> None:
    api = an_api("X", "forecast", description=description)
    found = unsuitable(a_tool(api, description), [api], RULES)
    assert {hit.reason for hit in found.values()} <= {"adult", "junk"}
    assert rated(title, description).keys() <= {"forecast"}


@pytest.mark.parametrize("words", ["rapidapi", "apis", "testing ", "this is a ", "s", "get_copy", "asdf", "http://x "])
def test_names_made_to_keep_a_reader_busy_are_read_at_once(words: str) -> None:
    for text in (f"test {words * 10}?", words * 100_000 + "?", f"{words * 12}?"[:119]):
        assert rated(text, text, (text, text)).keys() <= {text}
