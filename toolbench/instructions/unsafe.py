"""Unsafe requests, by the patterns of `unsafe.json`.

A rule for plain cases, not a judge: precise, so that what security, health and moderation APIs are for stays in. An
entry is `{"kind", "patterns", "unless"}`: any of `patterns` makes a sentence unsafe, unless one of `unless` stands in
the same sentence.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from toolbench.instructions.written import Reason, Written

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    patterns: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]

    def hit(self, sentence: str) -> str:
        """The words of the sentence that are unsafe, or nothing."""
        for pattern in self.patterns:
            found = pattern.search(sentence)
            if found and not any(exception.search(sentence) for exception in self.unless):
                return found[0]
        return ""


def unsafe(written: Written) -> Reason | None:
    """No sentence may ask for what hurts somebody: the kinds are in the data file."""
    for sentence in _SENTENCE.split(written.text.replace("’", "'")):
        for rule in _rules():
            if words := rule.hit(sentence):
                return "unsafe", f"The text asks for something unsafe ({rule.kind}): {words!r}."
    return None


@cache
def _rules() -> tuple[_Rule, ...]:
    entries = json.loads(files("toolbench.instructions").joinpath("unsafe.json").read_text(encoding="utf-8"))
    return tuple(_Rule(e["kind"], _compiled(e["patterns"]), _compiled(e["unless"])) for e in entries)


def _compiled(patterns: list[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)
