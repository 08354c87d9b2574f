"""Parameters: read from a schema or a document, plausible values for them, and how a person writes these."""

import json
import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from toolbench.teacher.offline import made
from toolbench.teacher.offline.kinds import Parameter, label_of
from toolbench.teacher.offline.words import LEXICON

__all__ = ["Parameter", "invent", "label_of", "parameter", "pools", "written"]

_LONGEST = 80
"""A documented value longer than this is not one a person would type."""

_OPAQUE = re.compile(r"\b(?:code|id|ids|key|token|iban|isbn|vin|hash)\b")
"""Names whose values nobody makes up: only documented ones mean anything."""

_DOCUMENTED = 0.05
"""How often a documented value is taken although another could be made."""

_MEANT = frozenset(LEXICON["known_kinds"])
"""Kinds of codes that do mean something, with a pool of real ones."""

_PLAIN = frozenset(LEXICON["plain_kinds"])
"""Kinds whose values stand in a sentence without quotes."""

_EXAMPLE = re.compile(
    r"(?:e\.g\.,?|for example,?|for instance,?|such as|examples?:|like)\s+[\"'`]?([^\s\"'`,;()]+(?: [A-Z][\w-]+)*)",
    re.IGNORECASE,
)


def _usable(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return isinstance(value, bool)
    if isinstance(value, (int, float)):
        return True
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) and len(text) <= _LONGEST and "REDACTED" not in text:
        return len(text) > 2
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
    """`values.json`: per kind the values to draw from, and the parts of texts."""
    loaded: dict[str, Any] = json.loads(files("toolbench.teacher.offline").joinpath("values.json").read_text("utf-8"))
    return loaded


def invent(wanted: Parameter, rng: Random, taken: tuple[Any, ...] = ()) -> Any:
    """A concrete value: of the enum, else made or of the pool of its kind, at times documented; if possible a new one.

    Values that nobody makes up (codes, ids) are always documented ones, where there are any.
    """
    options: list[Any] = list(wanted.enum)
    if not options:
        documented = list(wanted.documented)
        if documented and (_is_opaque(wanted) or rng.random() < _DOCUMENTED):
            options = documented
        else:
            made = [value for _ in range(3) if (value := _made(wanted, rng)) is not None]
            options = made or [*_pool(wanted), *documented]
    fresh = [value for value in options if value not in taken]
    if fresh or options:
        return _cast(rng.choice(fresh or options), wanted)
    return _fallback(wanted, rng)


def _is_opaque(wanted: Parameter) -> bool:
    kind = wanted.kind
    if kind in _MEANT:
        return False
    return bool(
        kind in ("id", "word")
        or _OPAQUE.search(wanted.label)
        or (len(wanted.label) == 1 and wanted.label not in "nk" and wanted.type == "string")
        or (wanted.type == "string" and kind in ("number", "phone", "uuid", "symbol"))
    )


def _pool(wanted: Parameter) -> list[Any]:
    first = wanted.documented[0] if wanted.documented else None
    single = wanted.kind in ("query", "text") and isinstance(first, str) and " " not in first
    pool = pools().get("word" if single else wanted.kind, [])
    return [value for value in pool if _fits(value, wanted) and _alike(value, wanted)]


def _made(wanted: Parameter, rng: Random) -> Any:
    """A value drawn anew; None for kinds that have a pool, or where there is nothing to go by."""
    kind, first = wanted.kind, wanted.documented[0] if wanted.documented else None
    if wanted.type == "array" or kind == "object":
        return None if first is None else made.varied(first, rng)
    if kind == "numbers":
        return made.numbers(rng)
    if kind == "date" and re.fullmatch(r"\d{4}-\d\d-\d\d", first if isinstance(first, str) else "2026-01-01"):
        born = re.search(r"\bbirth|\bborn\b", f"{wanted.label} {wanted.description}")
        span = (date(1945, 1, 1), date(2014, 1, 1)) if born else (date(2024, 1, 1), date(2028, 1, 1))
        return made.date_of(rng, *span)
    if kind == "text" and not (isinstance(first, str) and " " not in first):
        return made.text(pools()["text_parts"], rng)
    if kind == "time" and re.fullmatch(r"\d\d:\d\d", first if isinstance(first, str) else "09:30"):
        return f"{rng.randrange(6, 23):02d}:{5 * rng.randrange(12):02d}"
    if kind == "colour" and (not isinstance(first, str) or first.startswith("#")):
        return f"#{rng.randrange(1 << 24):06x}"
    if kind == "year" and isinstance(first, int):
        return rng.randint(2008, 2034)
    if kind == "geohash":
        return made.geohash(rng)
    return made.number(wanted, rng)


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
    """Whether a number is of the size of the documented one, so that an hour of 75.5 does not come up.

    Where the documented text is a single word, so is the value.
    """
    first = wanted.documented[0] if wanted.documented else None
    if isinstance(first, str) and isinstance(value, str) and wanted.kind in ("query", "text"):
        return " " in first or " " not in value
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
