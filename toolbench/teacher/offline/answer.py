"""Answers: plain sentences made from the values that were observed and that the instruction asks about."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from toolbench.teacher.offline.observe import Leaf
from toolbench.teacher.offline.parameters import label_of
from toolbench.teacher.offline.phrases import core
from toolbench.teacher.offline.transcript import Call
from toolbench.teacher.offline.words import LEXICON, stems

_FACTS, _VALUES, _LONGEST = 5, 6, 160
"""Facts told of one call, values told of one list, characters told of one value."""

_UNITS: dict[str, str] = LEXICON["units"]
_VAGUE = frozenset(LEXICON["vague_keys"])
_NOISE = frozenset(LEXICON["noise_keys"])


def sentence(call: Call, description: str, instruction: str) -> str:
    """What one successful call tells, as one sentence with the values it was asked for."""
    verb, rest = core(description, call.name)
    topic = re.split(r" (?:of|for|in|at|on|between|from|to|with|by|and|that|which|as|after|using|into) ", f"{rest} ")[
        0
    ].strip(" ,")
    about = _joined([_plain(value) for value in call.arguments.values()][:6])
    where = f" for {about}" if about else ""
    if not call.observation.leaves:
        return f"For {about or topic}, I found: {_shortened(call.observation.text)}."
    facts = _facts(call, stems(instruction), stems(description))
    nominal = not verb or topic.startswith("the ")
    if len(facts) == 1 and nominal:
        ((label, said),) = facts
        return (
            f"{_capital(topic)}{where} is {said}."
            if not label.startswith(("is ", "has "))
            else _capital(f"{about or topic}: {label} {said}.")
        )
    told = _joined([f"{label} {said}" if len(facts) > 1 else _single(label, said) for label, said in facts])
    head = f"{_capital(topic)}{where}: " if nominal else f"For {about}, " if about else ""
    return f"{head}{told}." if head else _capital(f"{told}.")


def _single(label: str, said: str) -> str:
    return f"{label} is {said}" if said in ("true", "false") else f"the {label} {_be(label)} {said}"


def _be(noun: str) -> str:
    return "are" if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) else "is"


def _facts(call: Call, asked: Sequence[str], described: Sequence[str]) -> list[tuple[str, str]]:
    """The leaves to tell as (label, value): those whose keys the texts name, else the first."""
    grouped: dict[tuple[str, ...], list[Any]] = {}
    for path, value in call.observation.leaves:
        grouped.setdefault(path, []).append(value)
    given = {str(value).lower() for value in call.arguments.values()}
    ranked: list[tuple[float, int, Leaf, list[Any]]] = []
    for index, (path, values) in enumerate(grouped.items()):
        key = set(stems(" ".join(path[-2:])))
        score = 2.0 * len(key & set(asked)) + len(key & set(described))
        score += 1.0 if path[-1].lower() in _VAGUE else -2.0 if path[-1].lower() in _NOISE else 0.0
        score -= 3.0 if all(str(value).lower() in given for value in values) else 0.2 * (len(path) - 1)
        ranked.append((-score, index, (path, values[0]), values))
    ranked.sort(key=lambda row: row[:2])
    wanted = [row for row in ranked if row[0] < 0] or ranked[:3]
    chosen = sorted(wanted[:_FACTS], key=lambda row: row[1])
    return [_fact(path, values) for _, _, (path, _), values in chosen]


def _fact(path: tuple[str, ...], values: Sequence[Any]) -> tuple[str, str]:
    label = label_of(path[-1])
    if label in _VAGUE and len(path) > 1 and path[-2].lower() not in _VAGUE:
        label = f"{label_of(path[-2])} {label}" if label not in ("value", "result") else label_of(path[-2])
    words = path[-1].lower().rsplit("_", 1)
    unit = _UNITS.get(words[1], "") if len(words) == 2 and isinstance(values[0], (int, float)) else ""
    if unit:
        label = label_of(words[0])
    said = _joined([_plain(value) for value in values[:_VALUES]])
    more = f" and {len(values) - _VALUES} more" if len(values) > _VALUES else ""
    return label, said + (f" {unit}" if unit and unit != "%" else unit) + more


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}" if value == round(value, 6) else f"{value:.6g}"
    if isinstance(value, list):
        return _joined([_plain(item) for item in value[:12]])
    if isinstance(value, Mapping):
        return _joined([f"{key} {_plain(item)}" for key, item in value.items()][:4])
    return _shortened(str(value))


def _shortened(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip().rstrip(".")
    return text if len(text) <= _LONGEST else text[:_LONGEST].rsplit(" ", 1)[0] + "…"


def _joined(items: Sequence[str]) -> str:
    items = [item for item in items if item]
    return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else "".join(items)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def answer(calls: Sequence[Call], descriptions: Mapping[str, str], instruction: str, missing: Sequence[str]) -> str:
    """The final answer: one sentence a successful call, then what could not be found (`missing`, as descriptions)."""
    told = list(dict.fromkeys(sentence(call, descriptions.get(call.name, ""), instruction) for call in calls))
    told += [f"I could not find out about {_shortened(item)}." for item in missing]
    return " ".join(told)
