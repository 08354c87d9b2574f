"""Kinds: one view of a documented parameter, and what kind of value it wants."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from toolbench.teacher.offline.words import LEXICON, pieces

_FULL: dict[str, str] = LEXICON["in_full"]

_BY_NAME: list[tuple[str, str]] = LEXICON["kind_by_name"]
_BY_DESCRIPTION: list[tuple[str, str]] = LEXICON["kind_by_description"]
_NUMERIC: list[tuple[str, str]] = LEXICON["kind_of_number"]
_NUMBER_LIST = re.compile(r"-?[\d.]+(?:, ?-?[\d.]+)+")


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """One parameter as documented. `documented` holds usable default and example values, the default first."""

    name: str
    type: str
    required: bool
    description: str
    documented: tuple[Any, ...]
    enum: tuple[Any, ...]
    minimum: float | None
    maximum: float | None
    item: str
    """The type of an array's items, empty for anything else or where it is unknown."""

    @property
    def label(self) -> str:
        """The name in plain words: `startLat` as `start latitude`."""
        return label_of(self.name)

    @property
    def kind(self) -> str:
        """What sort of value is wanted: a key of the pools in `values.json`, or `object`."""
        first = self.documented[0] if self.documented else self.enum[0] if self.enum else None
        return _kind(self.name, self.type, self.item, self.description, first if isinstance(first, str) else "")


@lru_cache(maxsize=8192)
def label_of(name: str) -> str:
    """`startLat` and `startLat2` as `start latitude`."""
    words = pieces(name)
    return " ".join(_FULL.get(word, word) for word in words if not word.isdigit()) or name


@lru_cache(maxsize=8192)
def _kind(name: str, kind: str, item: str, description: str, sample: str) -> str:
    label, head = label_of(name), description[:200]
    listed = re.search(r"comma[- ]separated|list of", head, re.IGNORECASE)
    if kind == "boolean" or kind == "object" or item in ("array", "object"):
        return "boolean" if kind == "boolean" else "object"
    if kind == "array" or (kind == "string" and (listed or _NUMBER_LIST.fullmatch(sample))):
        numeric = item in ("number", "integer") or _NUMBER_LIST.fullmatch(sample)
        told = re.search(
            r"\bnumbers?\b|\bintegers?\b|\bdata\b|\bsamples?\b|\bfigures?\b", f"{label} {head}", re.IGNORECASE
        )
        return "numbers" if numeric or (told and not item and not sample) else "words"
    for found, pattern in _NUMERIC if kind in ("integer", "number") else _BY_NAME:
        if re.search(rf"\b(?:{pattern})\b", label):
            return _refined(found, kind, head, sample)
    if kind in ("integer", "number"):
        return kind
    for found, pattern in _BY_DESCRIPTION:
        if re.search(pattern, head, re.IGNORECASE):
            return _refined(found, kind, head, sample)
    return "number" if re.search(r"\bnumber\b|\bamount\b", head) and not sample else "word"


def _refined(found: str, kind: str, description: str, sample: str) -> str:
    """Countries and languages by name or by code; a day or year that is text may be a whole date."""
    if found in ("country", "language") and (
        re.search(r"\bcode|iso|alpha|letter", description, re.IGNORECASE) or re.fullmatch(r"[A-Za-z]{2}", sample)
    ):
        return f"{found}_code"
    if found == "colour" and sample and not sample.startswith("#"):
        return "colour_name" if re.search(r"colou?r", description, re.IGNORECASE) else "word"
    if found == "symbol" and re.search(r"\bchemical\b|\belement\b", description, re.IGNORECASE):
        return "element"
    if found == "day" and kind == "string" and (re.search(r"date|YYYY", description) or "-" in sample):
        return "date"
    return found
