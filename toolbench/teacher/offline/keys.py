"""The keys of responses that matter, by rule: plain values that every response has, names and amounts first."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from toolbench.teacher.offline.words import LEXICON

_MOST = 12
_TELLING = frozenset((
    "amount", "author", "category", "city", "color", "colour", "count", "country", "currency", "date", "day",
    "description", "email", "end", "group", "id", "label", "language", "level", "message", "name", "number", "phone",
    "population", "price", "quantity", "rank", "rate", "rating", "result", "score", "size", "start", "state",
    "status", "summary", "symbol", "temperature", "text", "time", "title", "total", "type", "unit", "value", "year",
))  # fmt: skip
_NOISE = frozenset(LEXICON["noise_keys"]) - {"id", "status", "type"}
_MARK = "…"
"""What begins the keys and texts that stand for something left out."""


def keys(block: Mapping[str, Any]) -> list[str]:
    """At most 12 paths, best first, for `{"api": …, "responses": [...]}`."""
    given = block.get("responses")
    responses = given if isinstance(given, list) else []
    found: dict[str, float] = {}
    for response in responses:
        for path in dict.fromkeys(_leaves(response, "", 0)):
            found[path] = found.get(path, _score(path)) + 1 / len(responses)
    return sorted(found, key=lambda path: -found[path])[:_MOST]


def _score(path: str) -> float:
    """By the last name's words, and by how deep it lies."""
    last = path.rpartition(".")[2].removesuffix("[]")
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", last).lower())
    telling = bool(words) and (words[-1] in _TELLING or words[0] in _TELLING)
    return 1.0 * telling - 2.0 * any(word in _NOISE for word in words) - 0.1 * path.count(".")


def _leaves(value: Any, path: str, depth: int) -> Iterator[str]:
    """The paths of plain values that are there; `[]` for every item of a list of objects."""
    if depth > 60 or (isinstance(value, str) and value.startswith(_MARK)):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not key.startswith(_MARK):
                yield from _leaves(item, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(value, list):
        for item in value:
            inner = f"{path}[]" if isinstance(item, dict | list) else path
            yield from _leaves(item, inner, depth + 1)
    elif path and value not in (None, ""):
        yield path
