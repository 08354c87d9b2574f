"""JSON Schemas of OpenAPI documents: local `$ref`s inlined, combined ones merged, bounded, valid as draft 2020-12.

Documents are often wrong and sometimes hostile (cycles, references that multiply), so only keywords that are
understood are copied, each if its value has the right type, down to a depth and up to a number of nodes.
"""

import math
from collections.abc import Iterator
from typing import Any

from toolbench.catalogue.text import clip, plain

_HOPS = 32
_NODES = 400
_CHOICES = 100
_DESCRIPTION_LIMIT = 120
_TYPES = frozenset(["string", "integer", "number", "boolean", "array", "object"])
_COMBINED = ("allOf", "anyOf", "oneOf")
_BOUNDS = ("minimum", "maximum")
_SIZES = ("minLength", "maxLength", "minItems", "maxItems")


class Schemas:
    """The schemas of one document."""

    def __init__(self, document: Any) -> None:
        self._document = document

    def follow(self, node: Any) -> Any:
        """`node`, or what its chain of local references ends at; None where that leads nowhere."""
        for _ in range(_HOPS):
            if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
                return node
            node = self._at(node["$ref"])
        return None

    def inline(self, node: Any, depth: int) -> dict[str, Any]:
        """The schema without references, at most `depth` levels deep; what lies deeper is left open (`{}`)."""
        return self._schema(node, depth, [_NODES])

    def merged(self, node: Any) -> dict[str, Any]:
        """The schema's own level with references followed and `allOf`, `anyOf`, `oneOf` merged; parts stay as they are.

        Of alternatives the first that is not null stands for all: a function's argument has one shape.
        """
        return self._merged(node, [_NODES])

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#"):
            return None
        node = self._document
        for part in reference[1:].split("/")[1:]:
            key = part.replace("%7B", "{").replace("%7D", "}").replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isascii() and key.isdigit() and int(key[:9]) < len(node):
                node = node[int(key[:9])]
            else:
                node = node.get(key) if isinstance(node, dict) else None
        return node

    def _merged(self, node: Any, budget: list[int], hops: int = 8) -> dict[str, Any]:
        node = self.follow(node)
        budget[0] -= 1
        if not isinstance(node, dict) or hops < 0 or budget[0] < 0:
            return {}
        out = {k: v for k, v in node.items() if k not in _COMBINED}
        for part in self._parts(node):
            for key, value in self._merged(part, budget, hops - 1).items():
                mine = out.get(key)
                if key == "properties" and isinstance(mine, dict) and isinstance(value, dict):
                    out[key] = {**value, **mine}
                elif key == "required" and isinstance(mine, list) and isinstance(value, list):
                    out[key] = mine + value
                elif mine is None:
                    out[key] = value
        return out

    def _parts(self, node: dict[str, Any]) -> Iterator[Any]:
        everything = node.get("allOf")
        yield from everything if isinstance(everything, list) else []
        for key in ("anyOf", "oneOf"):
            choices = node.get(key)
            for choice in choices if isinstance(choices, list) else []:
                resolved = self.follow(choice)
                if isinstance(resolved, dict) and resolved.get("type") != "null":
                    yield resolved
                    break

    def _schema(self, node: Any, depth: int, budget: list[int]) -> dict[str, Any]:
        if depth < 0 or budget[0] <= 0:
            return {}
        node = self._merged(node, budget)
        out: dict[str, Any] = {}
        kind = type_of(node)
        if kind:
            out["type"] = kind
        out |= _leaf(node, kind)
        if kind == "object":
            out |= self._object(node, depth, budget)
        elif kind == "array":
            out["items"] = self._schema(node.get("items"), depth - 1, budget)
        return out

    def _object(self, node: dict[str, Any], depth: int, budget: list[int]) -> dict[str, Any]:
        properties = node.get("properties")
        inside: dict[str, Any] = {}
        for name, schema in properties.items() if isinstance(properties, dict) else ():
            if budget[0] <= 0 or depth <= 0:
                break
            inside[name] = self._schema(schema, depth - 1, budget)
        out: dict[str, Any] = {"properties": inside} if inside else {}
        required = [name for name in required_of(node) if name in inside]
        if required:
            out["required"] = required
        if isinstance(node.get("additionalProperties"), dict) and depth > 0:
            out["additionalProperties"] = self._schema(node["additionalProperties"], depth - 1, budget)
        return out


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
    choices = _choices(schema)
    return "string" if choices and all(isinstance(c, str) for c in choices) else ""


def required_of(schema: dict[str, Any]) -> list[str]:
    """The names a schema requires, each once."""
    required = schema.get("required")
    return list(dict.fromkeys(n for n in required if isinstance(n, str))) if isinstance(required, list) else []


def _leaf(node: dict[str, Any], kind: str) -> dict[str, Any]:
    """The keywords that hold no schemas, each only with a value that draft 2020-12 allows."""
    out: dict[str, Any] = {}
    if isinstance(node.get("description"), str) and node["description"].strip():
        out["description"] = clip(plain(node["description"]), _DESCRIPTION_LIMIT)
    if kind not in ("array", "object") and 0 < len(choices := _choices(node)) <= _CHOICES:
        out["enum"] = choices
    if isinstance(node.get("format"), str):
        out["format"] = clip(plain(node["format"]), 40)
    for key in _BOUNDS:
        value = node.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            out[key] = value
    for key in _SIZES:
        value = node.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            out[key] = value
    return out


def _choices(node: dict[str, Any]) -> list[Any]:
    """The values of an enum of plain values, each once; `True` and `1` are different values in JSON."""
    listed = node.get("enum")
    if not isinstance(listed, list):
        return [node["const"]] if isinstance(node.get("const"), str | int | float) else []
    plain_values = [c for c in listed if isinstance(c, str | int | float)]
    return list({(type(c), c): c for c in plain_values}.values())
