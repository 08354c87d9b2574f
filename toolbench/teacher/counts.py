"""What went wrong, and how often."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """What one client met with. A reply may count under several heads."""

    retries: int = 0
    """Tries after the first of a request."""
    rate_limited: int = 0
    """Answers with 429."""
    timeouts: int = 0
    """Requests without an answer in time."""
    failures: int = 0
    """Answers with 408, 409 or 5xx, lost connections, and answers that are not JSON."""
    refusals: int = 0
    """Replies in which the model refuses."""
    content_filter: int = 0
    """Replies held back by the endpoint's content filter."""
    truncated: int = 0
    """Replies that end at the longest length asked for."""
    malformed: int = 0
    """Replies without a choice, or with a call whose arguments are no JSON object."""
