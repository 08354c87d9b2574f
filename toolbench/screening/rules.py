"""From what calls of an API came back with to a verdict: a short table, tried from top to bottom."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from toolbench.records import Response, Source, VerdictName
from toolbench.screening.responses import flaw
from toolbench.screening.rulebook import Rulebook

FAILING = frozenset[VerdictName](("dead", "unauthorised", "slow", "low_quality"))
"""A night with one of these counts towards retirement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One call and what it came back with."""

    arguments: Mapping[str, Any]
    answer: Response
    seconds: float | None = None
    """None for a recorded answer, which carries no time."""

    @property
    def source(self) -> Source:
        """Where the answer came from."""
        return self.answer.source

    @property
    def guessed(self) -> bool:
        """The arguments are not the documented ones: a recorded call's are whatever somebody tried."""
        return self.source == "recorded"


class Finding(NamedTuple):
    """A verdict and the short code that says why."""

    verdict: VerdictName
    reason: str = ""


WORKS = Finding("working")
_TIMEOUT = Finding("slow", "timeout")


class _Rule(NamedTuple):
    finding: Finding
    applies: Callable[[int, int, str], bool]
    """Given the status code (`toolbench.apis.chain`), the HTTP status or 0, and the error text in lower case."""


_TABLE = (
    _Rule(Finding("unknown", "not_allowed"), lambda s, h, e: s == 12 and "no source" in e),
    _Rule(_TIMEOUT, lambda s, h, e: s == 5 or h in (408, 504)),
    _Rule(Finding("rate_limited", "too_many_requests"), lambda s, h, e: s in (9, 10) or h == 429),
    _Rule(Finding("unauthorised", "not_subscribed"), lambda s, h, e: s == 8 or h == 402 or "not subscribed" in e),
    _Rule(Finding("unauthorised", "unauthorised"), lambda s, h, e: s == 7 or h in (401, 403, 407)),
    _Rule(Finding("dead", "not_found"), lambda s, h, e: h in (404, 410) or (s == 6 and not h and "not found" in e)),
    _Rule(Finding("dead", "wrong_method"), lambda s, h, e: h in (405, 501)),
    _Rule(Finding("dead", "redirected"), lambda s, h, e: 300 <= h < 400 or "redirect" in e),
    _Rule(Finding("dead", "server_error"), lambda s, h, e: h >= 500),
    _Rule(Finding("unknown", "bad_input"), lambda s, h, e: s == 2 or 400 <= h < 500),
    _Rule(Finding("dead", "not_working"), lambda s, h, e: s == 6),
    _Rule(Finding("dead", "unreachable"), lambda s, h, e: s == 12),
    _Rule(Finding("low_quality", "too_large"), lambda s, h, e: "larger than" in e),
    _Rule(Finding("low_quality", "html"), lambda s, h, e: "html" in e),
    _Rule(Finding("low_quality", "not_json"), lambda s, h, e: e.startswith("expected json")),
    _Rule(Finding("low_quality", "error_other"), lambda s, h, e: s not in (0, 3)),
)
"""What the caller said about a call. In this order, too, of two findings that as many calls have the first counts."""

_RANK = {rule.finding: rank for rank, rule in enumerate(_TABLE)}


def finding_of(call: Observed, rules: Rulebook) -> Finding:
    """What one call alone says about its API."""
    error = call.answer.error.lower()
    http = re.match(r"http (\d{3})\b", error)
    for rule in _TABLE:
        if rule.applies(call.answer.status, int(http[1]) if http else 0, error):
            return rule.finding
    found = flaw(call.answer.response, rules)
    if found is None:
        return WORKS
    if found.kind is None:
        return Finding("low_quality", found.reason)
    if found.kind.about_arguments and call.guessed:
        return Finding("unknown", found.reason)
    return Finding(found.kind.verdict, found.reason)


def decide(calls: Sequence[Observed], rules: Rulebook, slow: float) -> Finding:
    """The verdict on an API from its calls, at least one.

    It works if one call worked, unless it is slow: its 95th percentile is above `slow` seconds. If none worked, what
    most calls say counts; what says nothing (a bad argument) counts only where nothing else is said.
    """
    findings = [finding_of(call, rules) for call in calls]
    if any(found.verdict == "working" for found in findings):
        seconds = p95(calls)
        return Finding("slow", "p95") if seconds is not None and seconds > slow else WORKS
    telling = [found for found in findings if found.verdict != "unknown"] or findings
    counts = Counter(telling)
    return min(counts, key=lambda found: (-counts[found], _RANK.get(found, len(_RANK)), found))


def p95(calls: Sequence[Observed]) -> float | None:
    """The 95th percentile of the calls' seconds by nearest rank; None where none was timed."""
    times = sorted(call.seconds for call in calls if call.seconds is not None)
    return times[math.ceil(0.95 * len(times)) - 1] if times else None
