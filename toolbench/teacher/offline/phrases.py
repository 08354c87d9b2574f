"""Phrases: an API's description and a set of values turned into what a person would ask for."""

import re
from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import Any

from toolbench.teacher.offline.parameters import Parameter, written
from toolbench.teacher.offline.words import LEXICON, first_sentence, pieces

_ASK: dict[str, str] = LEXICON["as_asked"]
_VERBS = frozenset(LEXICON["verbs"])
_DETERMINERS = frozenset(LEXICON["determiners"])
_NOUNS: dict[str, str] = LEXICON["nouns_of_kind"]
_GIVEN = (
    r"(?:(?:given|specified|certain|particular|specific|single|provided|chosen|desired|"
    r"positive|non-negative|natural|whole|real) )*"
)
_PREPOSITION = r"\b(of|for|in|on|to|from|into|at|around|whether|near|about|with|by|between)? ?\b"
_ANY = r"an?|any|each|one|the given|the specified|the provided|given|your|some"
_SUBJECT = re.compile(
    r"^(?:this|the|an?)? ?(?:api|endpoint|method|function|service|tool|operation|route|call|request)s?"
    r"(?: that| which| will| can| to| is used to| allows you to| lets you)* ",
    re.IGNORECASE,
)
"""What a document calls itself before it says what it does."""

_OFFER = re.compile(
    r"^(?:use|call)(?: this)?(?: api| endpoint| function)? (?:to|for) |^used to |^(?:you can|will|to) |"
    r"^(?:allows|lets|enables|helps) (?:you|users?|one) (?:to )?",
    re.IGNORECASE,
)
_MEANS = re.compile(
    r" (?:using|via|with|from|in|of|by|through) (?:this|the|our|an?)? ?(?:[A-Z][\w.]+ )?(?:api|endpoint|service)\b.*$",
    re.IGNORECASE,
)
_FROM = re.compile(r"^(?:from|source|origin|base)(?: .*)?$")
_TO = re.compile(r"^(?:to|into|target|destination|quote)(?: .*)?$")


@lru_cache(maxsize=4096)
def core(description: str, function: str) -> tuple[str, str]:
    """What the API does as (verb, rest): "Returns the age." → ("find", "the age"); no verb where it names a thing."""
    sentence = re.sub(r"^[A-Z][\w ]{0,30}: ", "", first_sentence(description))
    sentence = re.sub(r",? (?:for example|e\.g\.|such as|for instance) .*?(?=, |$)|: .*$", "", sentence)
    for wrapping in (_SUBJECT, _OFFER, _MEANS):
        sentence = wrapping.sub("", sentence)
    words = sentence.split()
    if len(words) > 22:
        sentence = re.split(r",|: | which | where ", sentence)[0]
        words = sentence.split()
    named = _api_words(function)
    unfit = re.search(
        r"\bapis?\b|\bendpoints?\b|https?:|[{}_=|]|\bjson\b|\bparam|\brapidapi\b|\w+\(\)", sentence, re.IGNORECASE
    )
    if not 2 <= len(words) <= 24 or unfit or not sentence.isascii():
        sentence = " ".join(named)
    return _verbed(sentence or "what there is to know")


def _api_words(function: str) -> list[str]:
    """The API's words of `<api>_for_<tool>`, without what only programmers say."""
    words = [
        word
        for word in pieces(function.rpartition("_for_")[0] or function)
        if word not in ("api", "v1", "v2", "v3", "endpoint", "post")
    ]
    return words[:8]


def _verbed(sentence: str) -> tuple[str, str]:
    first, _, rest = sentence.partition(" ")
    low = first.lower().rstrip(",")
    if low in _ASK and rest:
        verb = _ASK[low]
        rest = re.sub(r"^(?:back |me |you )", "", rest)
        asked = re.match(r"(?:how|what|when|where|which|who)\b", rest)
        return ("tell me" if asked else "check" if rest.startswith("whether") else verb), _the(rest)
    base = (
        low
        if low in _VERBS
        else low[:-1]
        if low.endswith("s") and low[:-1] in _VERBS
        else low[:-2]
        if low.endswith("es") and low[:-2] in _VERBS
        else ""
    )
    if base and rest:
        return (f"{base} me" if base in ("tell", "show", "give") and not rest.startswith("me ") else base), rest
    if low in ("whether", "if"):
        return "check", _lowered(sentence)
    if low in ("how", "what", "when", "where", "which", "who"):
        return "tell me", _lowered(sentence)
    return "", _the(_lowered(sentence))


def _lowered(sentence: str) -> str:
    """The first letter small, unless the first word is an abbreviation or a name of more than one word."""
    first, _, rest = sentence.partition(" ")
    return (
        sentence
        if (not first[1:].islower() and len(first) > 1) or first.endswith("'s")
        else first.lower() + (f" {rest}" if rest else "")
    )


def _the(phrase: str) -> str:
    first = phrase.split(" ")[0].lower()
    return phrase if first in _DETERMINERS or first.endswith("'s") else f"the {phrase}"


def request(description: str, function: str, values: Mapping[Parameter, Any], rng: Random) -> str:
    """The wish as a verb phrase holding every value, for example "find the distance between Paris and Tokyo"."""
    verb, text = core(description, function)
    text = f"{verb or rng.choice(('find', 'tell me', 'look up', 'find out', 'give me', 'get me'))} {text}"
    left = dict(values)
    text = _pair(text, left)
    for parameter in list(left):
        text = _slot(text, parameter, left, alone=len(values) == 1)
    return text + _appended(left)


def _pair(text: str, left: dict[Parameter, Any]) -> str:
    """ "between two places" with two values of one kind becomes "between Paris and Tokyo"."""
    source, target = next(filter(_is_from, left), None), next(filter(_is_to, left), None)
    if (
        source
        and target
        and (found := re.search(r"\bfrom (?:one|an?) [\w ]{2,30}? (?:in)?to (?:another|an?)(?: \w+)?\b", text))
    ):
        ends = f"from {said(source, left.pop(source))} to {said(target, left.pop(target))}"
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
            first, second = (said(p, left.pop(p)) for p in pair)
            return f"{text[: found.start()]}{first} and {second}{text[found.end() :]}"
    return text


def _is_from(parameter: Parameter) -> bool:
    return _FROM.match(parameter.label) is not None


def _is_to(parameter: Parameter) -> bool:
    return _TO.match(parameter.label) is not None


def said(parameter: Parameter, value: Any) -> str:
    """The value as it stands in the sentence; one of an enumeration stays bare."""
    return written(value, "enum" if parameter.enum else parameter.kind)


def _slot(text: str, parameter: Parameter, left: dict[Parameter, Any], alone: bool) -> str:
    """ "of a given word" becomes 'of the word "lantern"'; what is named by the value itself drops its noun."""
    kind, label = parameter.kind, parameter.label
    nouns = re.escape(label) + (
        f"|{_NOUNS[kind]}"
        if kind in _NOUNS and (alone or kind in ("city", "country", "text", "numbers", "words"))
        else ""
    )
    before = "the |a list of |" if kind in ("numbers", "words") else ""
    pattern = rf"{_PREPOSITION}(?:{before}{_ANY}) {_GIVEN}(?:{nouns})(?! of\b)\b(?=$|[ ,])"
    found = re.search(pattern, text, re.IGNORECASE)
    if not found or isinstance(left[parameter], bool) or kind in ("latitude", "longitude"):
        return text
    value = said(parameter, left.pop(parameter))
    named = kind in (
        "city",
        "country",
        "date",
        "currency",
        "zone",
        "number",
        "integer",
        "small",
        "amount",
        "datetime",
        "colour",
        "year",
        "url",
        "email",
    )
    word = (
        ""
        if named
        else "the numbers "
        if kind == "numbers"
        else ""
        if kind == "words"
        else f"the {label} "
        if value[:1] == '"' and len(label) > 2
        else ""
    )
    lead = text[: found.start()].rstrip()
    return re.sub(r" {2,}", " ", f"{lead} {found.group(1) or ''} {word}{value}{text[found.end() :]}")


def _appended(left: Mapping[Parameter, Any]) -> str:
    """The values that no noun of the description stands for, each behind a preposition that tells its parameter."""
    places: list[str] = []
    withs: list[str] = []
    for parameter, value in left.items():
        text, label, kind = said(parameter, value), parameter.label, parameter.kind
        if _FROM.match(label):
            places.append(f"from {text}")
        elif _TO.match(label):
            places.append(f"to {text}")
        elif kind in ("latitude", "longitude"):
            second = "longitude" in places[-1] if places else False
            places.append(f"{'and at' if second else 'and' if places else 'at'} {label} {text}")
        elif label in (
            "city",
            "place",
            "location",
            "country",
            "address",
            "symbol",
            "town",
            "language",
            "query",
            "word",
            "text",
            "numbers",
            "color",
            "colour",
        ):
            places.append(f"for {text}" if not places else f"with {text} as the {label}")
        elif label in ("date", "day") and kind == "date":
            places.append(f"on {text}")
        elif label == "year" and not any(p.startswith("in ") for p in places):
            places.append(f"in {text}")
        elif isinstance(value, bool):
            withs.append(f"{label} set to {text}")
        elif len(label) <= 2:
            withs.append(f"{label} = {text}")
        elif isinstance(value, (int, float)) and label[-1] == "s" and label[-2:] != "ss":
            withs.append(f"{text} {label}")
        elif isinstance(value, (int, float)):
            withs.append(f"{'an' if label[0] in 'aeiou' else 'a'} {label} of {text}")
        else:
            withs.append(f"{text} as the {label}")
    tail = f" with {', '.join(withs[:-1])} and {withs[-1]}" if len(withs) > 1 else f" with {withs[0]}" if withs else ""
    return (" " + " ".join(places) if places else "") + tail
