"""Parameters: one view of a documented parameter, what kind of value it wants, and plausible values for it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from random import Random
from typing import Any

from toolbench.teacher.offline.words import LEXICON, pieces

_LONGEST = 80
"""A documented value longer than this is not one a person would type."""

_FULL: dict[str, str] = LEXICON["in_full"]

_BY_NAME: list[tuple[str, str]] = LEXICON["kind_by_name"]
_BY_DESCRIPTION: list[tuple[str, str]] = LEXICON["kind_by_description"]
_NUMERIC: list[tuple[str, str]] = LEXICON["kind_of_number"]
_NUMBER_LIST = re.compile(r"-?[\d.]+(?:, ?-?[\d.]+)+")
_OPAQUE = re.compile(r"\b(?:code|id|ids|key|token|iban|isbn|vin|hash)\b")
"""Names whose values nobody makes up: only documented ones mean anything."""

_PLAIN = frozenset(LEXICON["plain_kinds"])
"""Kinds whose values stand in a sentence without quotes."""

_EXAMPLE = re.compile(
    r"(?:e\.g\.,?|for example,?|for instance,?|such as|examples?:|like)\s+[\"'`]?([^\s\"'`,;()]+(?: [A-Z][\w-]+)*)",
    re.IGNORECASE,
)


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
        return "word"
    if found == "day" and kind == "string" and (re.search(r"date|YYYY", description) or "-" in sample):
        return "date"
    return found


def _usable(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return isinstance(value, bool)
    if isinstance(value, (int, float)):
        return True
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return 0 < len(text.strip()) <= _LONGEST and not re.search(
        r"[\n<>{}]|REDACTED|^\W+$|^(?:string|null|none|undefined)$", text.strip(), re.IGNORECASE
    )


def _typed(value: Any, kind: str) -> Any:
    """A documented value in the documented type: marketplaces write `"5"` for the number 5. None if it cannot be."""
    if kind in ("integer", "number") and isinstance(value, str):
        try:
            number = float(value.replace(",", ""))
        except ValueError:
            return None
        return int(number) if kind == "integer" or number.is_integer() else number
    if kind == "boolean" and isinstance(value, str):
        return value.strip().lower() == "true" if value.strip().lower() in ("true", "false") else None
    if kind == "array" and not isinstance(value, list):
        return None
    if kind == "string" and not isinstance(value, str):
        return json.dumps(value) if isinstance(value, (int, float, bool)) else None
    return value.strip() if isinstance(value, str) else value


def parameter(name: str, schema: Mapping[str, Any], required: bool) -> Parameter:
    """A parameter from a JSON Schema property, or from an item of the `parameters` of an API document."""
    kind = schema.get("type")
    kind = next((k for k in kind if k != "null"), "string") if isinstance(kind, list) else kind
    kind = kind.lower() if isinstance(kind, str) else "string"
    kind = {"int": "integer", "float": "number", "bool": "boolean", "list": "array", "dict": "object"}.get(kind, kind)
    kind = kind if kind in ("integer", "number", "boolean", "array", "object") else "string"
    description = str(schema.get("description") or "")
    many = schema.get("examples")
    values = [
        schema.get("default"),
        schema.get("example"),
        schema.get("example_value"),
        *(many if isinstance(many, list) else []),
    ]
    if hint := _EXAMPLE.search(description[:400]):
        values.append(hint.group(1).rstrip("."))
    documented = [typed for value in values if _usable(value) and (typed := _typed(value, kind)) is not None]
    enum, items = schema.get("enum"), schema.get("items")
    low, high = schema.get("minimum"), schema.get("maximum")
    return Parameter(
        name=name,
        type=kind,
        required=required,
        description=description,
        documented=tuple(documented),
        enum=tuple(value for value in enum if _usable(value)) if isinstance(enum, list) else (),
        minimum=low if isinstance(low, (int, float)) else None,
        maximum=high if isinstance(high, (int, float)) else None,
        item=str(items.get("type", "")) if isinstance(items, dict) else "",
    )


@cache
def pools() -> dict[str, Any]:
    """`values.json`: per kind the values to draw from, and scenes, details and closings for instructions."""
    loaded: dict[str, Any] = json.loads(files("toolbench.teacher.offline").joinpath("values.json").read_text("utf-8"))
    return loaded


def invent(wanted: Parameter, rng: Random, taken: tuple[Any, ...] = ()) -> Any:
    """A concrete value: of the enum, else documented, else from the pool of its kind; if possible none of `taken`."""
    options: list[Any] = list(wanted.enum)
    if not options:
        kind = wanted.kind
        pool = [value for value in pools().get(kind, []) if _fits(value, wanted) and _alike(value, wanted)]
        documented = list(wanted.documented)
        opaque = (
            kind in ("id", "object", "word")
            or _OPAQUE.search(wanted.label)
            or (len(wanted.label) == 1 and wanted.label not in "nk")
            or (wanted.type == "string" and kind in ("number", "phone", "uuid", "symbol"))
        )
        options = documented if documented and (opaque or rng.random() < 0.4) else [*pool, *documented]
    fresh = [value for value in options if value not in taken]
    if fresh or options:
        return _cast(rng.choice(fresh or options), wanted)
    return _fallback(wanted, rng)


def _fallback(wanted: Parameter, rng: Random) -> Any:
    """A value where neither document nor pool has one that fits."""
    if wanted.type == "object":
        return {}
    if wanted.type in ("integer", "number"):
        low = int(wanted.minimum if wanted.minimum is not None else min(1, wanted.maximum or 1))
        return rng.randint(low, max(low, int(wanted.maximum if wanted.maximum is not None else low + 9)))
    return _cast(rng.choice(pools()["word"]), wanted)


def _fits(value: Any, wanted: Parameter) -> bool:
    if wanted.type not in ("integer", "number") or isinstance(value, bool):
        return True
    inside = (wanted.minimum is None or value >= wanted.minimum) and (wanted.maximum is None or value <= wanted.maximum)
    return isinstance(value, (int, float)) and inside and (wanted.type == "number" or float(value).is_integer())


def _alike(value: Any, wanted: Parameter) -> bool:
    """Whether a number is of the size of the documented one, so that an hour of 75.5 does not come up."""
    first = wanted.documented[0] if wanted.documented else None
    if (
        wanted.kind not in ("integer", "number", "small", "amount", "rate")
        or not isinstance(first, (int, float))
        or not first
    ):
        return True
    return bool(0.4 <= value / first <= 1.2)


def _cast(value: Any, wanted: Parameter) -> Any:
    if wanted.type == "string" and isinstance(value, list):
        return ",".join(str(item) for item in value)
    if wanted.type == "string" and not isinstance(value, str):
        return json.dumps(value)
    if wanted.type == "array" and not isinstance(value, list):
        return [value]
    if wanted.type == "array" and wanted.item == "integer":
        return [round(item) if isinstance(item, float) else item for item in value]
    return value


def written(value: Any, kind: str) -> str:
    """`value` as a person writes it in a sentence: lists with "and", free text in quotes."""
    if isinstance(value, str) and kind in ("numbers", "words") and "," in value:
        value = [part.strip() for part in value.split(",")]
        return _listed([part if kind == "numbers" else f'"{part}"' for part in value])
    if isinstance(value, list) and value and all(isinstance(item, (int, float, str)) for item in value):
        return _listed([f'"{item}"' if isinstance(item, str) else json.dumps(item) for item in value])
    if isinstance(value, str):
        plain = kind in _PLAIN or (kind != "text" and re.fullmatch(r"[A-Z]{2,5}|-?\d+(?:\.\d+)?", value))
        return value if plain and value else f'"{value}"'
    return json.dumps(value, ensure_ascii=False)


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
