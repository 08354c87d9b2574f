"""From calls to a verdict."""

from typing import Any

import pytest

from toolbench.records import Response
from toolbench.screening.rulebook import load
from toolbench.screening.rules import Observed, decide, finding_of, p95

RULES = load()


def call(
    error: str = "", status: int = 0, response: Any = None, seconds: float | None = 0.1, source: Any = "live"
) -> Observed:
    answer = Response(error=error, status=status, response="" if error else response or {"a": 1}, source=source)
    return Observed(arguments={}, answer=answer, seconds=seconds)


@pytest.mark.parametrize(
    ("error", "status", "verdict", "reason"),
    [
        ("", 0, "working", ""),
        ("No answer within 5 seconds", 5, "slow", "timeout"),
        ("HTTP 504: Gateway Timeout", 6, "slow", "timeout"),
        ('HTTP 429: {"message": "Too many requests"}', 9, "rate_limited", "too_many_requests"),
        ("Rate limit per minute", 10, "rate_limited", "too_many_requests"),
        ("HTTP 401: Unauthorized", 7, "unauthorised", "unauthorised"),
        ('HTTP 403: {"message": "You are not subscribed to this API."}', 7, "unauthorised", "not_subscribed"),
        ("HTTP 403: Forbidden", 7, "unauthorised", "unauthorised"),
        ("Unsubscribed error", 8, "unauthorised", "not_subscribed"),
        ("HTTP 402: Payment Required", 11, "unauthorised", "not_subscribed"),
        ("HTTP 404: Not Found", 6, "dead", "not_found"),
        ("HTTP 410: Gone", 11, "dead", "not_found"),
        ("HTTP 405: Method Not Allowed", 11, "dead", "wrong_method"),
        ("HTTP 500: Internal Server Error", 6, "dead", "server_error"),
        ("HTTP 302: the redirect is not followed: unknown host", 6, "dead", "redirected"),
        ("API not working error...", 6, "dead", "not_working"),
        ("Sending failed: the host does not resolve", 12, "dead", "unreachable"),
        ("HTTP 400: Bad Request", 11, "unknown", "bad_input"),
        ('HTTP 422: {"detail": "city"}', 11, "unknown", "bad_input"),
        ("Missing required parameter city", 2, "unknown", "bad_input"),
        ("The response is larger than 262144 bytes", 11, "low_quality", "too_large"),
        ("Expected JSON, got text/html", 11, "low_quality", "html"),
        ("Expected JSON, got image/png", 11, "low_quality", "not_json"),
        ("Message error...", 11, "low_quality", "error_other"),
    ],
)
def test_each_way_to_answer_has_its_verdict(error: str, status: int, verdict: str, reason: str) -> None:
    assert finding_of(call(error, status), RULES) == (verdict, reason)
    assert decide([call(error, status)] * 2, RULES, slow=3) == (verdict, reason)


def test_the_number_in_an_address_is_no_status() -> None:
    assert finding_of(call("Sending failed: http 404.example.com is gone", 12), RULES) == ("dead", "unreachable")


def test_nobody_to_ask_is_no_fault_of_the_api() -> None:
    nobody = call("No source has an answer to this call", 12, source="none")
    assert finding_of(nobody, RULES) == ("unknown", "not_allowed")


def test_one_call_that_works_is_enough() -> None:
    calls = [call("HTTP 500: x", 6), call("HTTP 500: x", 6), call()]
    assert decide(calls, RULES, slow=3).verdict == "working"


def test_what_works_slowly_is_slow() -> None:
    assert decide([call(seconds=0.1), call(seconds=3.1)], RULES, slow=3) == ("slow", "p95")
    assert decide([call(seconds=0.1), call(seconds=3.0)], RULES, slow=3).verdict == "working"
    # One in a hundred is no 95th percentile.
    assert decide([call(seconds=0.1)] * 99 + [call(seconds=60)], RULES, slow=3).verdict == "working"


def test_without_one_that_works_most_calls_decide_and_the_table_breaks_ties() -> None:
    gone, down, key = call("HTTP 404: x", 6), call("HTTP 500: x", 6), call("HTTP 401: x", 7)
    assert decide([gone, down, down], RULES, slow=3).reason == "server_error"
    assert decide([down, gone], RULES, slow=3).reason == decide([gone, down], RULES, slow=3).reason == "not_found"
    assert decide([gone, key], RULES, slow=3).verdict == "unauthorised"


def test_a_refused_argument_counts_only_where_nothing_else_is_said() -> None:
    bad, down = call("HTTP 400: x", 11), call("HTTP 500: x", 6)
    assert decide([bad, bad, down], RULES, slow=3) == ("dead", "server_error")
    assert decide([bad, bad], RULES, slow=3) == ("unknown", "bad_input")


def test_an_error_about_guessed_arguments_says_nothing_about_the_api() -> None:
    answer = {"message": "Invalid id"}
    assert finding_of(call(response=answer), RULES) == ("low_quality", "error_input")
    assert finding_of(call(response=answer, source="recorded"), RULES) == ("unknown", "error_input")
    key = {"message": "Invalid API key"}
    assert finding_of(call(response=key, source="recorded"), RULES) == ("low_quality", "error_key")


def test_the_95th_percentile_is_by_nearest_rank() -> None:
    assert p95([call(seconds=float(n)) for n in range(1, 101)]) == 95
    assert p95([call(seconds=1.0), call(seconds=None)]) == 1
    assert p95([call(seconds=None)]) is None
