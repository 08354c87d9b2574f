"""The keywords of one JSON Schema node that hold no schemas: its type, its choices, its bounds."""

import math
from typing import Any

from toolbench.catalogue.parameters import typed
from toolbench.catalogue.text import clip, plain

SCALARS = frozenset(["string", "integer", "number", "boolean"])
_TYPES = SCALARS | {"array", "object"}
_CHOICES = 100
_DESCRIPTION_LIMIT = 120
_BOUNDS = ("minimum", "maximum")
_SIZES = ("minLength", "maxLength", "minItems", "maxItems")


def type_of(schema: dict[str, Any]) -> str:
    """The one JSON type of a merged schema, inferred where it is not said; empty if nothing tells."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if isinstance(k, str) and k in _TYPES), None)
    if isinstance(kind, str):
        return kind if kind in _TYPES else ("string" if kind == "file" else "")
    if isinstance(schema.get("properties"), dict) or isinstance(schema.get("additionalProperties"), dict):
        return "object"
    if "items" in schema:
        return "array"
    choices = choices_of(schema)
    return "string" if choices and all(isinstance(c, str) for c in choices) else ""


def required_of(schema: dict[str, Any]) -> list[str]:
    """The names a schema requires, each once."""
    required = schema.get("required")
    return list(dict.fromkeys(n for n in required if isinstance(n, str))) if isinstance(required, list) else []


def choices_of(schema: dict[str, Any]) -> list[Any]:
    """The plain values of an enum, or the one of a const, each once; `True` and `1` are different values in JSON."""
    listed = schema.get("enum")
    if not isinstance(listed, list):
        return [schema["const"]] if isinstance(schema.get("const"), str | int | float) else []
    return _distinct([c for c in listed if isinstance(c, str | int | float)])


def leaf(schema: dict[str, Any], kind: str) -> dict[str, Any]:
    """The keywords that hold no schemas, each only with a value that draft 2020-12 allows."""
    out: dict[str, Any] = {}
    if isinstance(schema.get("description"), str) and schema["description"].strip():
        out["description"] = clip(plain(schema["description"]), _DESCRIPTION_LIMIT)
    if kind not in ("array", "object") and 0 < len(choices := _fitting(choices_of(schema), kind)) <= _CHOICES:
        out["enum"] = choices
    if isinstance(schema.get("format"), str):
        out["format"] = clip(plain(schema["format"]), 40)
    for key in _BOUNDS:
        value = schema.get(key)
        # Whole numbers may have more digits than a float holds: `isfinite` would raise.
        finite = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        if finite and not isinstance(value, bool):
            out[key] = value
    for key in _SIZES:
        value = schema.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            out[key] = value
    return out


def _fitting(choices: list[Any], kind: str) -> list[Any]:
    """The choices as values of the type: nothing would satisfy an integer's `["1", "2"]`."""
    if kind not in SCALARS:
        return choices
    found = [c if _fits(c, kind) else typed(c, kind) for c in choices]
    return _distinct([c for c in found if c is not None])


def _fits(value: Any, kind: str) -> bool:
    if kind in ("integer", "number"):
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return not isinstance(value, bool) and (whole or (kind == "number" and isinstance(value, float)))
    return isinstance(value, bool if kind == "boolean" else str)


def _distinct(values: list[Any]) -> list[Any]:
    """Each value once, as it first stands: by JSON's equality, in which 1 and 1.0 are one number and `true` is none."""
    found: dict[tuple[bool, Any], Any] = {}
    for value in values:
        found.setdefault((isinstance(value, bool), value), value)
    return list(found.values())
