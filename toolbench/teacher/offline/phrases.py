"""Phrases: what an API does, as its description says it, in the words of somebody who asks for it."""

import re
from functools import lru_cache

from toolbench.teacher.offline.words import LEXICON, first_sentence, pieces

_ASK: dict[str, str] = LEXICON["as_asked"]
_VERBS = frozenset(LEXICON["verbs"])

_DETERMINERS = frozenset(LEXICON["determiners"])

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
    if base and rest and not first.endswith(","):
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
        if (not first[1:].rstrip(",").islower() and len(first) > 1 and first.lower() != "somebody's")
        or (first.endswith("'s") and first.lower() != "somebody's")
        else first.lower() + (f" {rest}" if rest else "")
    )


def _the(phrase: str) -> str:
    first = phrase.split(" ")[0].lower()
    return phrase if first in _DETERMINERS or first.endswith("'s") else f"the {phrase}"
