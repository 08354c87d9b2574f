"""Tails: the values that a description has no place for, behind prepositions that tell their parameters."""

import json
import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from toolbench.teacher.offline.parameters import Parameter
from toolbench.teacher.offline.words import LEXICON

_SHUFFLED = 0.7
"""How often values are given in another order than the documented one."""

_UNITS: dict[str, str] = LEXICON["units"]
_SAID: dict[str, str] = LEXICON["said_as"]
_BEHIND_FOR = frozenset(LEXICON["behind_for"])
_FROM = re.compile(r"^(?:from|source|origin|base)(?: .*)?$")
_TO = re.compile(r"^(?:to|into|target|destination|quote)(?: .*)?$")


def is_from(parameter: Parameter) -> bool:
    """Whether it is what something starts from."""
    return _FROM.match(parameter.label) is not None


def is_to(parameter: Parameter) -> bool:
    """Whether it is what something goes to."""
    return _TO.match(parameter.label) is not None


def appended(left: Mapping[Parameter, tuple[str, Any]], rng: Random) -> str:
    """The values that no noun of the description stands for, each behind a preposition that tells its parameter."""
    places: list[str] = []
    withs: list[str] = []
    for parameter, (text, value) in left.items():
        label, kind = parameter.label, parameter.kind
        if label in _SAID:
            places.append(_SAID[label].format(text))
        elif is_from(parameter):
            places.append(f"from {text}")
        elif is_to(parameter):
            places.append(f"to {text}")
        elif kind in ("latitude", "longitude"):
            places.append(_coordinate(label, text, places))
        elif label in _BEHIND_FOR:
            places.append(f"for {text}" if not places else f"with {text} as the {label}")
        elif label in ("date", "day") and kind == "date":
            places.append(f"on {text}")
        elif label == "time" and kind == "time":
            places.append(f"at {text}")
        elif label == "year" and not any(p.startswith("in ") for p in places):
            places.append(f"in {text}")
        else:
            withs.append(_with(label, text, value))
    if rng.random() < _SHUFFLED:
        rng.shuffle(withs)
    joined = f"{', '.join(withs[:-1])} and {withs[-1]}" if len(withs) > 1 else "".join(withs)
    tail = f"{rng.choice((' with', ' with', ', given'))} {joined}" if withs else ""
    return (" " + " ".join(places) if places else "") + tail


def _coordinate(label: str, text: str, places: Sequence[str]) -> str:
    if not places:
        return f"at {label} {text}"
    return f"{'and at' if 'longitude' in places[-1] else 'and'} {label} {text}"


def _with(label: str, text: str, value: Any) -> str:
    """One of several values behind "with": "7 trials", "a distance of 250 km", "rate 4.5"."""
    if isinstance(value, bool):
        return f"{label} set to {json.dumps(value)}"
    if len(label) <= 2:
        return f"{label} = {text}"
    if not isinstance(value, (int, float)):
        return f"{text} as the {label}"
    thing, _, unit = label.rpartition(" ")
    if thing and unit in _UNITS:
        return f"{_a(thing)} {thing} of {text} {_UNITS[unit]}"
    if " per " in label and label.split(" ")[0][-1] == "s":
        return f"{text} {label.split(' per ')[0]}"
    if label[-1] == "s" and label[-2:] not in ("ss", "us", "is"):
        return f"{text} {label}"
    return f"{_a(label)} {label} of {text}"


def _a(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
