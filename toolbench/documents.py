"""The text of an API as a retriever reads it: one function, shared by the rooms that write it and that search it."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from toolbench.records import Api, Parameter

_DESCRIPTION_LIMIT = 512
_PARAMETER_LIMIT = 80
_KEYS_LIMIT = 24
_KEYS_DEPTH = 4

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")


def document(api: Api) -> str:
    """The API as plain text: category, tool and name first, then description, parameters and response keys.

    What tells APIs apart stands first, because an encoder cuts at a number of tokens. Credentials are left out: no
    user asks for them. The parts are those that ToolBench's retriever encodes.
    """
    shown = [p for p in api.parameters if not p.secret]
    parts = [
        f"{_plain(api.category.replace('_', ' '), 80)}: {_plain(api.tool, 80)}: {_plain(api.name, 120)}",
        _plain(api.description, _DESCRIPTION_LIMIT),
        _listed("Required", [p for p in shown if p.required]),
        _listed("Optional", [p for p in shown if not p.required]),
        _returned(api),
    ]
    return "\n".join(p for p in parts if p)


def _plain(text: str, limit: int) -> str:
    """One line without markup, of at most `limit` characters."""
    return " ".join(_TAG.sub(" ", html.unescape(text)).split())[:limit].rstrip()


def _listed(title: str, parameters: list[Parameter]) -> str:
    described = [(_plain(p.name, _PARAMETER_LIMIT), _plain(p.description, _PARAMETER_LIMIT)) for p in parameters]
    names = "; ".join(f"{name}: {text}" if text else name for name, text in described)
    return f"{title}: {names}" if names else ""


def _returned(api: Api) -> str:
    keys: dict[str, None] = {}
    if api.response_schema:
        keys = dict.fromkeys(_schema_keys(_parsed(api.response_schema)))
    if not keys and api.response_example:
        keys = dict.fromkeys(_value_keys(_parsed(api.response_example)))
    names = [_plain(k, _PARAMETER_LIMIT) for k in list(keys)[:_KEYS_LIMIT]]
    return f"Returns: {', '.join(names)}" if names else ""


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
