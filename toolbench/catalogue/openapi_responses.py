"""The documented response of an OpenAPI operation, made small enough to be kept."""

import re
from collections.abc import Iterator
from typing import Any

from toolbench.catalogue.drafts import json_text
from toolbench.catalogue.schemas import Schemas

LIMIT = 20_000
"""Characters of JSON."""
_DEPTH = 6
_ITEMS = (10, 3, 1)
_DEEPEST = 12
_SUCCESS = re.compile(r"2\d\d|2XX|default", re.IGNORECASE)


class Responses:
    """Reads the responses of one document; those that operations share are read once."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        # By identity: the document outlives this object.
        self._examples: dict[int, str | None] = {}

    def read(self, responses: Any) -> tuple[str | None, str | None]:
        """Schema and example of the first documented JSON response of success, as JSON text."""
        responses = responses if isinstance(responses, dict) else {}
        for status in sorted(responses):
            response = self._schemas.follow(responses[status]) if _SUCCESS.fullmatch(status) else None
            content = response.get("content") if isinstance(response, dict) else None
            for media, body in content.items() if isinstance(content, dict) else ():
                if "json" in media.lower() and isinstance(body, dict):
                    return self._schema(body.get("schema")), self._example(body)
        return None, None

    def _schema(self, schema: Any) -> str | None:
        """The schema as deep as it fits; half its text would be no schema."""
        for depth in range(_DEPTH, -1, -1):
            inlined = self._schemas.inline(schema, depth)
            text = json_text(inlined, LIMIT) if inlined else None
            if text or not inlined:
                return text
        return None

    def _example(self, body: dict[str, Any]) -> str | None:
        example = body.get("example")
        examples = body.get("examples")
        if example is None and isinstance(examples, dict) and examples:
            first = self._schemas.follow(next(iter(examples.values())))
            example = first.get("value") if isinstance(first, dict) else None
        if example is None:
            example = self._schemas.merged(body.get("schema")).get("example")
        if example in (None, "", {}, []):
            return None
        if id(example) not in self._examples:
            self._examples[id(example)] = shortened(example, LIMIT)
        return self._examples[id(example)]


def shortened(value: Any, limit: int) -> str | None:
    """`value` as JSON text of at most `limit` characters: lists keep their first items, then what is deep is emptied.

    None if no such text is short enough: a text cut anywhere else would be a wrong example.
    """
    try:
        text = json_text(value, limit)
    except RecursionError:
        text = None
    return text or next((t for v in _shorter(value) if (t := json_text(v, limit))), None)


def _shorter(value: Any) -> Iterator[Any]:
    for items in _ITEMS:
        yield _pruned(value, items, _DEEPEST)
    for depth in range(_DEPTH, 0, -1):
        yield _pruned(value, 1, depth)


def _pruned(value: Any, items: int, depth: int) -> Any:
    """The value with lists cut to `items` items, and empty lists and objects below `depth` levels."""
    if isinstance(value, dict):
        return {k: _pruned(v, items, depth - 1) for k, v in value.items()} if depth > 0 else {}
    if isinstance(value, list):
        return [_pruned(v, items, depth - 1) for v in value[:items]] if depth > 0 else []
    return value
