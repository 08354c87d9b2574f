"""Words: how text is cut into stems and clauses, and how much a stem tells about the function that carries it."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_]+")

LEXICON: dict[str, Any] = json.loads(files("toolbench.teacher.offline").joinpath("words.json").read_text("utf-8"))
"""Lists of English words and of the vocabulary of API documents; `words.json` says under which heading."""

STOP = frozenset(LEXICON["stop"])
"""Words that say nothing about which function is meant: glue, and the vocabulary of API documents."""

_OPENERS = "|".join(map(re.escape, [*LEXICON["verbs"], *LEXICON["request_openers"]]))
_AND = r",?\s+(?:and|then|also|plus|as well as|after that,?)\s+"
_CLAUSE = re.compile(rf"(?<=[.!?;])\s+|\n+|{_AND}(?=(?:also |then |finally )?(?:{_OPENERS})\b)", re.IGNORECASE)
_ENDINGS: list[tuple[str, str]] = [(ending, put) for ending, put in LEXICON["endings"]]


@lru_cache(maxsize=16384)
def stem(word: str) -> str:
    """A light suffix stripper (in the manner of Porter 1980, one pass): `converts`, `converting`, `converter` agree."""
    word = word.lower()
    if word.endswith("our") and len(word) > 4:
        word = word[:-3] + "or"
    if len(word) < 4 or not word.isascii():
        return word
    for ending, put in _ENDINGS:
        if (
            word.endswith(ending)
            and len(word) - len(ending) >= 3
            and not (ending == "s" and word.endswith(("ss", "us", "is")))
        ):
            word = word[: -len(ending)] + put
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "sle":
        word = word[:-1]
    return word.rstrip("e") if len(word) > 4 else word


@lru_cache(maxsize=8192)
def pieces(text: str) -> tuple[str, ...]:
    """The words of `text` in order, lower case; `camelCase` and `snake_case` are cut apart."""
    return tuple(piece.lower() for piece in _WORD.findall(text))


@lru_cache(maxsize=8192)
def stems(text: str) -> tuple[str, ...]:
    """The stems of the telling words of `text`, in order."""
    return tuple(stem(word) for word in pieces(text) if word not in STOP and (len(word) > 1 or word.isdigit()))


def clauses(text: str) -> list[str]:
    """`text` cut into sentences and, inside them, into the parts that each ask for something."""
    return [part.strip(" ,") for part in _CLAUSE.split(text) if part and part.strip(" ,.!?;")]


@lru_cache(maxsize=8192)
def first_sentence(text: str) -> str:
    """The first sentence of a description, without mark-up, notes in brackets and surplus space."""
    text = re.sub(r"<[^>]{0,80}>|[`*#]", " ", text.strip()[:600])
    text = re.sub(r"\s*\([^)]*\)|\s*\[[^\]]*\]", "", text)
    text = re.split(r"(?<=[a-z\d\"'])[.!?](?:\s|$)|\n|;\s| [-–—] ", text.strip() + " ", maxsplit=1)[0]
    return re.sub(r"\s+", " ", text).strip(" .:,-")


def rarity(documents: Sequence[Iterable[str]]) -> dict[str, float]:
    """Inverse document frequency: per stem `log(1 + documents / documents with it)`."""
    counts: dict[str, int] = {}
    for document in documents:
        for word in set(document):
            counts[word] = counts.get(word, 0) + 1
    return {word: math.log(1 + len(documents) / count) for word, count in counts.items()}


def likeness(asked: Iterable[str], weights: Mapping[str, float], idf: Mapping[str, float]) -> float:
    """The cosine, 0 to 1, of asked words and a document's weighted ones; words that no document has do not count."""
    known = {word for word in asked if word in idf}
    norm = math.sqrt(sum((weight * idf.get(word, 0.0)) ** 2 for word, weight in weights.items()))
    asked_norm = math.sqrt(sum(idf[word] ** 2 for word in known))
    shared = sum(weights[word] * idf[word] ** 2 for word in known if word in weights)
    return shared / (norm * asked_norm) if shared else 0.0
