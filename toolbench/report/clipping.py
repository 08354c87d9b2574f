"""Long texts, cut so that any one tree stays a small file."""

from collections.abc import Callable
from typing import Any

LIMITS = (16_000, 2_000, 300)
"""Characters of one text: the next of them where a whole would be too large."""

LARGEST = 240_000
"""Characters of all texts of a whole."""


class Clip:
    """Cuts texts to a limit, and counts what it let through."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0

    def __call__(self, text: str) -> Any:
        """The text, or `[its beginning, its length]`."""
        if len(text) <= self.limit:
            self.size += len(text)
            return text
        self.size += self.limit
        return [text[: self.limit], len(text)]


def fitted(make: Callable[[Clip], Any]) -> Any:
    """What `make` makes with the largest limit under which its texts are not too many."""
    for limit in LIMITS:
        clip = Clip(limit)
        made = make(clip)
        if clip.size <= LARGEST:
            break
    return made
