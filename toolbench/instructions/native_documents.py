"""APIs as the documents in ToolBench's instruction files describe them."""

import json
import re
from typing import Any

from toolbench.records import Api, Parameter

_TYPES = {"integer": "NUMBER", "number": "NUMBER", "boolean": "BOOLEAN", "array": "ARRAY", "object": "OBJECT"}
_EMPTY = "empty list"
_LEAVES = frozenset(["str", "int", "float", "bool", "NoneType", "list", "dict", _EMPTY])
_LISTED = re.compile(r"list of \w+ with length \d+")
_LENGTH_KEY = "_list_length"
_DEPTH = 12
"""Levels of a response that its template shows."""
_TEMPLATE_LIMIT = 1000
"""Characters of JSON; ToolBench shows a longer template as text, cut there."""


def document(api: Api) -> dict[str, Any]:
    """An API as ToolBench's documents describe it. Credentials are left out: no query gives them."""
    shown = [p for p in api.parameters if not p.secret]
    found = {
        "category_name": api.category,
        "tool_name": api.tool,
        "api_name": api.name,
        "api_description": api.description,
        "required_parameters": [_parameter(p) for p in shown if p.required],
        "optional_parameters": [_parameter(p) for p in shown if not p.required],
        "method": api.method,
    }
    shape = _shape(api.response_example)
    return found if shape is None else {**found, "template_response": shape}


def template(value: Any, depth: int = 0) -> Any:
    """The shape of a response as ToolBench writes it: types for values, of a list the first item and how many.

    A template stays as it is.
    """
    if isinstance(value, dict | list) and depth >= _DEPTH:
        return type(value).__name__
    if isinstance(value, dict):
        return {k: v if k == _LENGTH_KEY and isinstance(v, int) else template(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return _template_of_list(value, depth)
    return (value if value in _LEAVES else "str") if isinstance(value, str) else type(value).__name__


def _template_of_list(items: list[Any], depth: int) -> Any:
    if not items:
        return _EMPTY
    first = items[0]
    if isinstance(first, str) and len(items) == 1 and _LISTED.fullmatch(first):
        return items
    if isinstance(first, dict) and depth + 1 < _DEPTH:
        return [{**template(first, depth + 1), _LENGTH_KEY: first.get(_LENGTH_KEY, len(items))}]
    return [f"list of {type(first).__name__} with length {len(items)}"]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    """A default that is a list or an object is text, as in ToolBench's documents; none is an empty text."""
    default = _json(parameter.default)
    if isinstance(default, list | dict):
        default = json.dumps(default, ensure_ascii=False)
    return {
        "name": parameter.name or parameter.shown_as,
        "type": _TYPES.get(parameter.type, "STRING"),
        "description": parameter.description,
        "default": "" if default is None else default,
    }


def _shape(example: str | None) -> Any:
    """The template of a documented response, None without one. A template that was cut before stays as it is."""
    response = _json(example)
    if response is None:
        return None
    if isinstance(response, str) and response.startswith(("{", "[")):
        return response[:_TEMPLATE_LIMIT]
    shape = template(response)
    text = json.dumps(shape, ensure_ascii=False)
    return shape if len(text) <= _TEMPLATE_LIMIT else text[:_TEMPLATE_LIMIT]


def _json(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return None
