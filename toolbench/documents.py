"""The text of an API as a retriever reads it, from one template, shared by the rooms that write it and search it."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from toolbench.prompts import load
from toolbench.records import Api, Parameter

_DESCRIPTION_LIMIT = 512
_PARAMETER_LIMIT = 80
_KEYS_LIMIT = 24
_KEYS_DEPTH = 4
_ABOUT_LIMIT = 300
_COUNTS = {"category": 1, "tool": 2, "name": 2, "description": 3, "required": 1, "optional": 1, "returned": 1}
"""How often each part of an API stands in what BM25 reads."""

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")


TEMPLATE = load("toolbench", "document")
"""Its digest identifies the form of documents: an encoder trained on one form knows no other."""


def document(api: Api) -> str:
    """The API as plain text: category, tool and name first, then description, parameters and response keys.

    What tells APIs apart stands first, because an encoder cuts at a number of tokens. Credentials are left out: no
    user asks for them. The parts are those that ToolBench's retriever encodes.
    """
    return TEMPLATE.render(**_parts(api))


def words(api: Api, about: str = "") -> str:
    """The API as BM25 reads it; `about` is its tool's description.

    The same parts, but what names and describes the API stands there more than once: so its words weigh more than those
    of parameters and response keys (BM25 over weighted fields, Robertson, Zaragoza and Taylor 2004). The order says
    nothing.
    """
    parts = _parts(api)
    texts = [parts[name] if isinstance(parts[name], str) else "; ".join(parts[name]) for name in _COUNTS]
    counted = [text for text, count in zip(texts, _COUNTS.values(), strict=True) for _ in range(count)]
    return "\n".join(text for text in (*counted, _plain(about, _ABOUT_LIMIT)) if text)


def _parts(api: Api) -> dict[str, Any]:
    shown = [p for p in api.parameters if not p.secret]
    return {
        "category": _plain(api.category.replace("_", " "), 80),
        "tool": _plain(api.tool, 80),
        "name": _plain(api.name, 120),
        "description": _plain(api.description, _DESCRIPTION_LIMIT),
        "required": [_described(p) for p in shown if p.required],
        "optional": [_described(p) for p in shown if not p.required],
        "returned": _returned(api),
    }


def _plain(text: str, limit: int) -> str:
    """One line without markup, of at most `limit` characters."""
    return " ".join(_TAG.sub(" ", html.unescape(text)).split())[:limit].rstrip()


def _described(parameter: Parameter) -> str:
    name, text = _plain(parameter.name, _PARAMETER_LIMIT), _plain(parameter.description, _PARAMETER_LIMIT)
    return f"{name}: {text}" if text else name


def _returned(api: Api) -> list[str]:
    keys: dict[str, None] = {}
    if api.response_schema:
        keys = dict.fromkeys(_schema_keys(_parsed(api.response_schema)))
    if not keys and api.response_example:
        keys = dict.fromkeys(_value_keys(_parsed(api.response_example)))
    return [_plain(k, _PARAMETER_LIMIT) for k in list(keys)[:_KEYS_LIMIT]]


def _parsed(text: str) -> Any:
    """The JSON value of a documented response; None where a crawl kept something else: then there are no keys."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _schema_keys(schema: Any) -> Iterator[str]:
    """Property names of a JSON Schema, outer ones first: an answer's own fields say more than its details."""
    level = [schema]
    for _ in range(_KEYS_DEPTH):
        below: list[Any] = []
        for node in level:
            if not isinstance(node, dict):
                continue
            properties = node.get("properties")
            if isinstance(properties, dict):
                yield from properties
                below.extend(properties.values())
            if "items" in node:
                below.append(node["items"])
            for combined in ("allOf", "anyOf", "oneOf"):
                choices = node.get(combined)
                below.extend(choices if isinstance(choices, list) else [])
        level = below


def _value_keys(value: Any) -> Iterator[str]:
    """Keys of an example response, outer ones first; of a list, its first item stands for all."""
    level = [value]
    for _ in range(_KEYS_DEPTH):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                yield from node
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node[:1])
        level = below
