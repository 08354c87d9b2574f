"""What is wrong with responses that arrived with a good status."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.screening.responses import flaw, is_empty
from toolbench.screening.rulebook import load

RULES = load()

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "status", "data", "code", "x"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("response", [None, "", "  ", {}, [], "null", "{}", "[]", '""', "b''", [None], [{}]])
def test_nothing_is_empty(response: Any) -> None:
    found = flaw(response, RULES)
    assert found is not None
    assert found.reason == "empty"


@pytest.mark.parametrize("response", [0, False, 0.0, "0", {"results": []}, {"count": 0}, [0], {"data": None}])
def test_zero_false_and_a_search_without_hits_are_answers(response: Any) -> None:
    assert not is_empty(response)
    assert flaw(response, RULES) is None


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"error": "Something went wrong"}, "error_service"),
        ({"Error": "Invalid Token. Your token is either invalid or has expired."}, "error_key"),
        ({"msg": "Request Fail", "err": "Api-Key Verify Fail"}, "error_key"),
        ({"message": "You are not subscribed to this API."}, "error_subscription"),
        ("Access denied as you are not subscribed to any plan", "error_subscription"),
        ({"success": False, "message": "Monthly quota exceeded"}, "error_quota"),
        ({"status": "fail", "data": {"message": "city_not_found"}}, "error_not_found"),
        ({"statusCode": 404, "message": "That document does not exist"}, "error_not_found"),
        ({"detail": "Not Found"}, "error_gone"),
        ("The page could not be found\n\nNOT_FOUND\n", "error_gone"),
        ({"code": "Invalid key"}, "error_key"),
        (
            {"status": False, "message": "Server down, Please try again after sometime.", "timestamp": 1},
            "error_service",
        ),
        ([{"status": "400", "code": "api key invalid"}], "error_key"),
        ('{"message": "Please provide full path image url"}', "error_input"),
        ('"\\"lang\\" is required"', "error_input"),
        ({"errors": [{"message": "year must be a number"}]}, "error_input"),
        ({"status": "FAIL"}, "error_other"),
        ({"status": False, "message": {}}, "error_in_success"),
        ("<!doctype html><title>Maintenance</title>", "html"),
        (" <html><body>502 Bad Gateway</body></html>", "html"),
        ("\ufffdPNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", "binary"),
    ],
)
def test_an_error_in_a_success_is_found_and_named(response: Any, reason: str) -> None:
    found = flaw(response, RULES)
    assert found is not None
    assert found.reason == reason


@pytest.mark.parametrize(
    "response",
    [
        {"error": None, "result": {"price": 3}},
        {"error": "", "data": [1, 2]},
        {"errors": [], "items": ["a"]},
        {"error": 0, "msg": "success"},
        {"status": "success", "message": "Input data is safe."},
        {"message": "Welcome to the New Girl API"},
        {"result": "The profane words should be replaced with asterisks."},
        {"status": "failed", "matches": [{"home": "A", "away": "B", "report": "x" * 400}]},
        {"error": "2 pages could not be read", "pages": [{"text": "y" * 500}]},
        {"status": "invalid", "email": "a@b.c", "reason": "no mail server"},
        {"text": "An error is the only teacher. " * 20},
        "The must-see places of Oslo are listed in this guide. " * 10,
        {"code": "US", "name": "United States"},
        {"code": 200, "message": "OK", "data": [1]},
        [{"error": "a"}, {"error": "b"}],
        "Qing Nice",
    ],
)
def test_content_is_no_error_whatever_words_are_in_it(response: Any) -> None:
    assert flaw(response, RULES) is None


@given(VALUES)
def test_any_json_is_rated_and_its_text_alike(value: Any) -> None:
    found = flaw(value, RULES)
    assert found is None or found.reason
    if isinstance(value, dict) and value:
        assert (flaw(json.dumps(value), RULES) is None) == (found is None)


def test_what_is_nested_very_deeply_is_content() -> None:
    value: Any = {"error": "x"}
    for _ in range(500):
        value = [value]
    assert flaw(value, RULES) is None
    assert flaw("[" * 100_000, RULES) is None


def test_a_response_made_to_keep_a_reader_busy_is_read_at_once() -> None:
    assert flaw("<!-- -->" * 30_000, RULES) is None
    for text in ("no " * 80_000, "exceeded the " * 20_000, "invalid " + "a" * 250_000, " " * 250_000 + "x"):
        assert flaw({"error": text}, RULES) is not None
