"""What an endpoint's response headers say about when to come again, and how much it still takes.

The `x-ratelimit-…` headers are read as OpenAI documents them (https://platform.openai.com/docs/guides/rate-limits).
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h|d)")


class Allowance(NamedTuple):
    """One limit as a response tells it."""

    limit: float | None
    """How much there is when nothing was used; None: not said."""
    remaining: float
    reset: float
    """Seconds until all of it is there again."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `retry-after-ms` or `retry-after` (seconds or a date) asks for; None: nothing readable."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = (headers.get("retry-after") or "").strip()
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, (date.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def allowance(headers: Mapping[str, str], kind: str) -> Allowance | None:
    """What `x-ratelimit-*-<kind>` says, `kind` being requests or tokens; None without a readable rest and reset."""
    remaining = _number(headers.get(f"x-ratelimit-remaining-{kind}"))
    reset = duration(headers.get(f"x-ratelimit-reset-{kind}"))
    if remaining is None or reset is None:
        return None
    return Allowance(_number(headers.get(f"x-ratelimit-limit-{kind}")), remaining, reset)


def duration(text: str | None) -> float | None:
    """Seconds of a duration such as `17ms`, `1s`, `6m0s` or `1h2m3.5s`; a bare number means seconds."""
    text = (text or "").strip().lower()
    if (seconds := _number(text)) is not None:
        return seconds
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
