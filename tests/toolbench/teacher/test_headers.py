from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.teacher.headers import Allowance, allowance, duration, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "20", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "20", "retry-after-ms": "soon"}, 20),
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_when_to_come_again(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_when_to_come_again_as_a_date() -> None:
    assert retry_after({"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}) == 0
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after({"retry-after": soon}) == pytest.approx(90, abs=3)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("17ms", 0.017), ("1h2m3.5s", 3723.5), ("2d", 172800), ("7", 7), ("0s", 0),
     ("", None), (None, None), ("1x", None), ("s", None), ("1 s", None), ("-1s", None)],
)  # fmt: skip
def test_durations_as_openai_writes_them(text: str | None, seconds: float | None) -> None:
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


def test_an_allowance_needs_a_rest_and_a_reset() -> None:
    told = {"x-ratelimit-remaining-tokens": "149984", "x-ratelimit-reset-tokens": "6m0s"}
    assert allowance(told, "tokens") == Allowance(None, 149984, 360)
    assert allowance({**told, "x-ratelimit-limit-tokens": "150000"}, "tokens") == Allowance(150000, 149984, 360)
    assert allowance(told, "requests") is None
    assert allowance({"x-ratelimit-remaining-tokens": "3"}, "tokens") is None


@given(st.text(max_size=40))
def test_no_header_breaks_anything(text: str) -> None:
    names = ("retry-after", "retry-after-ms", *(f"x-ratelimit-{n}-tokens" for n in ("limit", "remaining", "reset")))
    headers = dict.fromkeys(names, text)
    assert (retry_after(headers) or 0) >= 0
    told = allowance(headers, "tokens")
    assert told is None or min(told.remaining, told.reset) >= 0
