"""Wishes: an API's description and a set of values turned into what a person would ask for."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from toolbench.teacher.offline.parameters import Parameter, written
from toolbench.teacher.offline.phrases import core
from toolbench.teacher.offline.tails import appended, is_from, is_to
from toolbench.teacher.offline.words import LEXICON

_NOUNS: dict[str, str] = LEXICON["nouns_of_kind"]
_GIVEN = (
    r"(?:(?:given|specified|certain|particular|specific|single|provided|chosen|desired|"
    r"positive|non-negative|natural|whole|real|English|base|background) )*"
)

_PREPOSITION = r"\b(of|for|in|on|to|from|into|at|around|whether|near|about|with|by|between)? ?\b"
_ANY = r"an?|any|another|each|one|the given|the specified|the provided|given|your|some"
_LOOSE: list[tuple[str, list[str]]] = LEXICON["loosely"]
_LOOSENED = 0.6
"""How often a wording of `loosely` is taken."""

_JOINTS = "if|from|with|by(?! month)|for|between|that|which|without|including|such as|so that|to find|among"
"""Words before which a description may end."""

_ENOUGH, _MANY = 5, 10
"""Words of a request, values aside: what it needs to be understood, and from where on it is cut shorter."""

_ENDS = re.compile(
    r"\bfrom (?:one|an?) [\w ]{2,30}? (?:in)?to (?:another|an?)(?: (?!at\b|on\b|in\b|by\b|with\b)\w+)?\b"
)
"""Where something starts and where it goes to, as a description says it."""

_SPELLED = 0.5
"""How often a date is written out, as 4 July 2026."""

_ANYTHING = "find"
_UNITS: dict[str, str] = LEXICON["units"]

_NAMED = frozenset(LEXICON["named_by_value"])
"""Kinds whose values need no noun before them."""

_SOLE = frozenset(("date", "year", "zone", "currency", "colour", "country_code", "continent", "quantity", "time"))
"""Kinds that a noun of the description stands for even if there are parameters of other kinds."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing asked for: `verb what tail`, where `tail` holds the values that `what` has no place for.

    `thing`: it is a fact to be told ("the area of …", "how many …"), not something to be done; the verb may be another.
    """

    verb: str
    what: str
    tail: str
    thing: bool

    def __str__(self) -> str:
        return f"{self.verb} {self.what}{self.tail}"


_TELL = ("find", "tell me", "look up", "find out", "give me", "get me")
_MARK = re.compile(r"\x00(\d+)\x00")


def request(description: str, function: str, values: Mapping[Parameter, Any], rng: Random) -> Wish:
    """The wish as a verb phrase holding every value, for example "find the distance between Paris and Tokyo"."""
    verb, text = core(description, function)
    # Values are marked by their places, so that nothing that is done to the words is done to them.
    said_values = [said(parameter, value, rng) for parameter, value in values.items()]
    marks = {parameter: f"\x00{place}\x00" for place, parameter in enumerate(values)}
    places = {parameter: place for place, parameter in enumerate(values)}
    left = dict(marks)
    text = _coordinates(_pair(f"{verb or _ANYTHING} {_loosened(text, rng)}", left), left)
    kinds = [parameter.kind for parameter in values]
    for parameter in marks:
        if parameter in left and not isinstance(values[parameter], bool):
            alone = len(values) == 1 or (parameter.kind in _SOLE and kinds.count(parameter.kind) == 1)
            text = _slot(text, parameter, left, said_values[places[parameter]], alone)
    text = _brief(text)
    rest = {parameter: (mark, values[parameter]) for parameter, mark in left.items()}
    thing = not verb or verb in (*_TELL, "check")
    first = verb or _ANYTHING
    what = text.removeprefix(first).strip()
    asked = re.match(r"(?:how|what|when|where|which|who|whether)\b", what)
    if not verb or (verb == "find" and not asked):
        first = rng.choice(_TELL)
    tail = appended(rest, rng)

    def spoken(text: str) -> str:
        return _MARK.sub(lambda mark: said_values[int(mark.group(1))], text)

    return Wish(first, spoken(what), spoken(tail), thing)


def _brief(text: str) -> str:
    """The first words, and of what follows them only what holds values: those say the rest."""
    head, *parts = re.split(rf"(?=,? (?:{_JOINTS})\b|, )", text)
    kept, fixed, listing = head, _plain_words(head), False
    for part in parts:
        # The rest of a list belongs to its beginning.
        goes_on = listing and part[0] == "," and len(part.split()) <= 4
        listing = not _MARK.search(part) and (goes_on or fixed < _ENOUGH)
        if _MARK.search(part) or listing:
            kept += part
            fixed += _plain_words(part)
    kept = re.sub(r"^([^\x00]*?),? and (?:its|whether|how|at)\b[^\x00]*$", r"\1", kept)
    if fixed > _MANY and not _MARK.search(kept):
        shorter = re.sub(r" and the\b.*$| (?:in|on|at|over|under|into)\b(?! which).*$", "", kept)
        kept = shorter if len(shorter.split()) >= _ENOUGH else kept
    return kept.rstrip(" ,")


def _loosened(text: str, rng: Random) -> str:
    """The text with some of its words left out or said otherwise, as people do."""
    for pattern, others in _LOOSE:
        if rng.random() < _LOOSENED:
            text = re.sub(pattern, rng.choice(others), text)
    return text


def _coordinates(text: str, left: dict[Parameter, str]) -> str:
    """ "two places", "a latitude and longitude" and "a latitude" with the values for them."""
    latitudes, longitudes = ([p for p in left if p.kind == kind] for kind in ("latitude", "longitude"))
    pairs = list(zip(latitudes, longitudes, strict=False))
    if len(pairs) == 2 and (found := re.search(r"\b(?:two|2) (?:points|places)\b", text)):
        said = " and ".join(f"latitude {left.pop(one)}, longitude {left.pop(other)}" for one, other in pairs)
        return text[: found.start()] + said + text[found.end() :]
    if len(pairs) == 1 and (found := re.search(r"\b(?:an?|the) latitude and longitude\b", text)):
        said = f"latitude {left.pop(latitudes[0])} and longitude {left.pop(longitudes[0])}"
        return text[: found.start()] + said + text[found.end() :]
    if len(latitudes) == 1 and not longitudes and (found := re.search(r"\b(?:an?|the) latitude\b", text)):
        return f"{text[: found.start()]}latitude {left.pop(latitudes[0])}{text[found.end() :]}"
    return text


def _plain_words(text: str) -> int:
    return len(_MARK.sub(" ", text).split())


def _pair(text: str, left: dict[Parameter, str]) -> str:
    """ "between two places" with two values of one kind becomes "between Paris and Tokyo"."""
    source, target = next(filter(is_from, left), None), next(filter(is_to, left), None)
    if source and target and (found := _ENDS.search(text)):
        ends = f"from {left.pop(source)} to {left.pop(target)}"
        return text[: found.start()] + ends + text[found.end() :]
    found = re.search(
        r"\b(?:any |the )?(?:two|2) (?:given |different )?(?:[\w-]+ ){0,2}?(\w+s)\b(?: or \w+s\b)?",
        text,
    )
    if not found:
        return text
    by_kind: dict[str, list[Parameter]] = {}
    for parameter in left:
        by_kind.setdefault(parameter.kind, []).append(parameter)
    noun = re.sub(r"ies$", "y", found.group(1)).removesuffix("s")
    for kind, pair in by_kind.items():
        fitting = re.fullmatch(_NOUNS.get(kind, kind), noun) or all(noun in p.label for p in pair)
        if kind not in ("numbers", "words") and len(pair) == 2 and (fitting or len(by_kind) == 1):
            first, second = (left.pop(p) for p in pair)
            return f"{text[: found.start()]}{first} and {second}{text[found.end() :]}"
    return text


def said(parameter: Parameter, value: Any, rng: Random) -> str:
    """The value as it stands in the sentence; one of an enumeration stays bare, a date may be spelled out."""
    if parameter.kind == "date" and isinstance(value, str) and rng.random() < _SPELLED:
        with suppress(ValueError):
            day = date.fromisoformat(value)
            return f"{day.day} {day:%B} {day.year}"
    return written(value, "enum" if parameter.enum else parameter.kind)


def _slot(text: str, parameter: Parameter, left: dict[Parameter, str], value: str, alone: bool) -> str:
    """ "of a given word" becomes 'of the word "lantern"'; what is named by the value itself drops its noun."""
    kind, label = parameter.kind, parameter.label
    if kind in ("latitude", "longitude"):
        return text
    nouns = _nouns(parameter, alone)
    by_its = re.search(rf",? by (?:its |an? |the )?(?:[\w-]+ )??({re.escape(label)}|{nouns})(?=$|[ ,])", text)
    if by_its and label != "name" and kind not in ("country_code", "currency"):
        return f"{text[: by_its.start()]} with the {label} {left.pop(parameter)}{text[by_its.end() :]}"
    before = "the |a list of |" if kind in ("numbers", "words") else ""
    pattern = rf"{_PREPOSITION}(?:{before}{_ANY}) {_GIVEN}({nouns})(?! of\b)\b(?=$|[ ,])"
    found = re.search(pattern, text, re.IGNORECASE)
    if not found:
        return text
    word = ""
    if label == "name" and kind in ("city", "country", "planet", "colour_name"):
        word = f"the {found.group(2).split(' of ')[0]} "
    elif found.group(2) == "quantity":
        word = "a quantity of "
    elif kind == "numbers":
        word = "the numbers "
    elif kind != "words" and kind not in _NAMED and value[:1] == '"' and len(label) > 2:
        word = f"the {found.group(2) if kind == 'text' else label} "
    lead, mark = text[: found.start()].rstrip(), left.pop(parameter)
    _, _, unit = label.rpartition(" ")
    if unit in _UNITS and found.group(2) != label:
        mark = f"{mark} {_UNITS[unit]}"
    return re.sub(r" {2,}", " ", f"{lead} {found.group(1) or ''} {word}{mark}{text[found.end() :]}")


def _nouns(parameter: Parameter, alone: bool) -> str:
    """A pattern of the words that a description may have for the parameter."""
    kind = parameter.kind
    nouns = re.escape(parameter.label)
    if phrase := re.match(r"[a-z]+ [a-z]+(?=$|[,;.(])", parameter.description.lower()):
        nouns = f"{phrase.group()}|{nouns}"
    if kind in _NOUNS and (alone or kind in ("city", "country", "text", "numbers", "words", "planet")):
        nouns += f"|{_NOUNS[kind]}"
    thing, _, unit = parameter.label.rpartition(" ")
    if thing and unit in _UNITS:
        nouns += f"|{re.escape(thing)}"
    if parameter.label in ("value", "amount"):
        nouns += "|quantity|number|amount of money|amount"
    # "Upper limit of the value" stands behind "is below a limit".
    if kind in ("integer", "number", "small", "amount", "rate") and (
        described := re.match(r"(?:[\w-]+ ){0,2}?([a-z]{4,})(?= of\b|,|$)", parameter.description)
    ):
        nouns += f"|{described.group(1)}"
    return nouns
