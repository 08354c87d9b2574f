"""Planning: which functions an instruction needs, by the words they share with it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from toolbench.teacher.offline.parameters import Parameter, parameter
from toolbench.teacher.offline.words import LEXICON, clauses, first_sentence, likeness, rarity, stems

_ENOUGH = 0.42
"""A clause asks for a function if it matches this share of the best match in the whole instruction."""

_MOST_NEEDS = 6
_STORY = tuple(LEXICON["story_openers"])
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”")


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the request; `weights` says per stem how telling its place is: the name most, notes least."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Need:
    """`function` is asked for by `clause`; `others` could stand in for it, the likeliest first."""

    function: Function
    clause: str
    others: tuple[Function, ...]


@lru_cache(maxsize=2048)
def _weights(name: str, description: str, labels: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for text, weight in (
        (description[:600], 0.35),
        (labels, 0.5),
        (first_sentence(description), 1.0),
        (name.rpartition("_for_")[2], 0.4),
        (name.rpartition("_for_")[0] or name, 1.2),
    ):
        for word in stems(text):
            weights[word] = max(weights.get(word, 0.0), weight)
    return weights


def function(definition: Mapping[str, Any]) -> Function:
    """A function from an item of `tools`."""
    name, description = str(definition.get("name") or ""), str(definition.get("description") or "")
    schema = definition.get("parameters")
    schema = schema if isinstance(schema, dict) else {}
    properties, required = schema.get("properties"), schema.get("required")
    names = set(map(str, required)) if isinstance(required, list) else set()
    parameters = tuple(
        parameter(str(key), value if isinstance(value, dict) else {}, key in names)
        for key, value in (properties if isinstance(properties, dict) else {}).items()
    )
    labels = " ".join(
        f"{wanted.label} {wanted.description[:80]} {' '.join(map(str, wanted.enum[:12]))}" for wanted in parameters
    )
    return Function(name, description, parameters, _weights(name, description, labels))


def needs(instruction: str, functions: Sequence[Function]) -> list[Need]:
    """The functions to call, in the order asked. At least one if there are functions; each at most once."""
    if not functions:
        return []
    idf = rarity([item.weights for item in functions])
    asked = [(clause, stems(_QUOTED.sub(" ", clause))) for clause in clauses(instruction) or [instruction]]
    scored = []
    for clause, words in asked:
        scores = sorted(
            ((likeness(words, item.weights, idf), -index) for index, item in enumerate(functions)), reverse=True
        )
        scored.append((clause, [(score, functions[-index]) for score, index in scores]))
    best = max(ranking[0][0] for _, ranking in scored)
    found: dict[str, Need] = {}
    for clause, ranking in scored:
        score, top = ranking[0]
        if score <= 0 or score < _ENOUGH * best or top.name in found or _is_scene(clause, len(scored)):
            continue
        others = tuple(item for value, item in ranking[1:] if value >= 0.5 * score)
        found[top.name] = Need(top, clause, others)
    if not found:
        clause, ranking = max(scored, key=lambda pair: pair[1][0][0])
        found[ranking[0][1].name] = Need(ranking[0][1], clause, tuple(item for score, item in ranking[1:] if score > 0))
    return list(found.values())[:_MOST_NEEDS]


def _is_scene(clause: str, clauses_in_all: int) -> bool:
    """A sentence that tells about the writer asks for nothing ("I'm preparing a quiz."), unless it is all there is."""
    return clause.startswith(_STORY) and clauses_in_all > 1 and not clause.endswith("?")
