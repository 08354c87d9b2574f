"""JSON Schemas of OpenAPI documents: local `$ref`s inlined, combined ones merged, bounded, valid as draft 2020-12.

Documents are often wrong and sometimes hostile (cycles, references that multiply), so only keywords that are
understood are copied, each if its value has the right type, down to a depth and up to a number of nodes.
"""

from typing import Any
from urllib.parse import unquote

from toolbench.catalogue.openapi_alternatives import one_of
from toolbench.catalogue.openapi_keywords import SCALARS, leaf, required_of, type_of

__all__ = ["Schemas", "required_of", "type_of"]

_HOPS = 32
_NODES = 400
_ALTERNATIVES = 50
_CHOICES = ("anyOf", "oneOf")
_COMBINED = ("allOf", *_CHOICES)


class Schemas:
    """The schemas of one document."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._found: dict[str, Any] = {}

    def follow(self, node: Any) -> Any:
        """`node`, or what its chain of local references ends at; None where that leads nowhere."""
        return self._chased(node)[0]

    def lost(self, node: Any) -> str:
        """The reference at which the chain from `node` leaves the document or leads nowhere; empty if it does not."""
        return self._chased(node)[1]

    def lost_part(self, schema: Any) -> str:
        """As `lost`, for a schema's own level: of `allOf` every part must be there, of alternatives one.

        A reference that is lost further down leaves its place open, as one below the depth of `inline` does.
        """
        return self._lost_part(schema, [_NODES])

    def inline(self, node: Any, depth: int) -> dict[str, Any]:
        """The schema without references, at most `depth` levels deep; what lies deeper is left open (`{}`)."""
        return self._schema(node, depth, [_NODES])

    def merged(self, node: Any) -> dict[str, Any]:
        """The schema's own level with references followed and `allOf`, `anyOf`, `oneOf` merged; parts stay as they are.

        Of alternatives `openapi_alternatives.one_of` stands for all.
        """
        return self._merged(node, [_NODES])

    def _chased(self, node: Any) -> tuple[Any, str]:
        """(what the chain of references ends at, the reference at which it broke)."""
        reference = ""
        for _ in range(_HOPS):
            if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
                return node, ("" if node is not None else reference)
            reference = node["$ref"] or "#/"
            if reference not in self._found:
                self._found[reference] = self._at(reference)
            node = self._found[reference]
        return None, reference

    def _at(self, reference: str) -> Any:
        """What a JSON pointer in a URI fragment leads to; None for other files, and for names that are no pointer."""
        if reference != "#" and not reference.startswith("#/"):
            return None
        node = self._document
        for part in reference[1:].split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isascii() and key.isdigit() and int(key[:9]) < len(node):
                node = node[int(key[:9])]
            else:
                node = node.get(key) if isinstance(node, dict) else None
        return node

    def _lost_part(self, schema: Any, budget: list[int], hops: int = 8) -> str:
        budget[0] -= 1
        if hops < 0 or budget[0] < 0:
            return ""
        found, lost = self._chased(schema)
        if lost or not isinstance(found, dict):
            return lost
        parts = found.get("allOf")
        for part in parts if isinstance(parts, list) else ():
            if lost := self._lost_part(part, budget, hops - 1):
                return lost
        for key in _CHOICES:
            listed = found.get(key)
            choices = listed[:_ALTERNATIVES] if isinstance(listed, list) else []
            losses = [self._lost_part(c, budget, hops - 1) for c in choices if not _is_null(self.follow(c))]
            if losses and all(losses):
                return losses[0]
        return ""

    def _merged(self, node: Any, budget: list[int], hops: int = 8) -> dict[str, Any]:
        budget[0] -= 1
        if hops < 0 or budget[0] < 0:
            return {}
        node = self._with_siblings(node)
        if not isinstance(node, dict):
            return {}
        out = {k: v for k, v in node.items() if k not in _COMBINED}
        everything = node.get("allOf")
        parts = [self._merged(p, budget, hops - 1) for p in (everything if isinstance(everything, list) else [])]
        parts += [self._alternative(node.get(key), budget, hops - 1) for key in _CHOICES]
        for part in parts:
            for key, value in part.items():
                mine = out.get(key)
                if key == "properties" and isinstance(mine, dict) and isinstance(value, dict):
                    out[key] = {**value, **mine}
                elif key == "required" and isinstance(mine, list) and isinstance(value, list):
                    out[key] = mine + value
                elif mine is None:
                    out[key] = value
        return out

    def _with_siblings(self, node: Any) -> Any:
        """What `node` refers to; what is written beside `$ref` wins, as in 3.1, and as authors mean it in 3.0."""
        found = self.follow(node)
        if found is node or not isinstance(found, dict) or len(node) == 1:
            return found
        return {**found, **{k: v for k, v in node.items() if k != "$ref" and v is not None}}

    def _alternative(self, choices: Any, budget: list[int], hops: int) -> dict[str, Any]:
        merged: list[dict[str, Any]] = []
        for choice in choices[:_ALTERNATIVES] if isinstance(choices, list) else ():
            found = self.follow(choice)
            if isinstance(found, dict) and not _is_null(found):
                merged.append(self._merged(choice, budget, hops))
                if type_of(merged[0]) not in SCALARS:
                    break  # it stands for all, whatever the others are
        return one_of(merged)

    def _schema(self, node: Any, depth: int, budget: list[int]) -> dict[str, Any]:
        if depth < 0 or budget[0] <= 0:
            return {}
        node = self._merged(node, budget)
        out: dict[str, Any] = {}
        kind = type_of(node)
        if kind:
            out["type"] = kind
        out |= leaf(node, kind)
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


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"
