"""What filters look at, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass

Reason = tuple[str, str]
"""A short code to count by, and one sentence."""


@dataclass(frozen=True, slots=True)
class Written:
    """An instruction as the teacher wrote it: its text and the function names it calls relevant."""

    text: str
    relevant: Sequence[str]
