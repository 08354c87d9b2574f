"""What to call an API with: documented values only, so that a refusal says something about the API."""

import json
from typing import Any

from toolbench.digests import canonical
from toolbench.records import Api, Parameter

_MISSING = object()


def arguments_of(api: Api, calls: int) -> list[dict[str, Any]]:
    """Up to `calls` different sets of arguments by the names that a model is shown; the same ones every night.

    First the required parameters alone, then with every optional one that has a documented value, then with one of the
    optional ones each, in the order of the document. Empty if a required parameter has no documented value.
    """
    properties = _properties(api)
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    for parameter in api.parameters:
        if parameter.secret:
            continue
        value = _documented(parameter, properties)
        if value is not _MISSING:
            (required if parameter.required else optional)[parameter.shown_as] = value
        elif parameter.required:
            return []
    sets = [required, required | optional, *(required | {name: value} for name, value in optional.items())]
    return list({canonical(arguments): arguments for arguments in sets}.values())[:calls]


def without_value(api: Api) -> list[str]:
    """Names of the required parameters that have no documented value."""
    properties = _properties(api)
    return [
        p.shown_as for p in api.parameters if p.required and not p.secret and _documented(p, properties) is _MISSING
    ]


def _documented(parameter: Parameter, properties: dict[str, Any]) -> Any:
    """The default or example, else the first allowed value; `_MISSING` without one."""
    value = _read(parameter.default)
    if _is_value(value):
        return value
    schema = properties.get(parameter.shown_as)
    if not isinstance(schema, dict):
        return _MISSING
    examples = schema.get("examples") if isinstance(schema.get("examples"), list) else []
    choices = schema.get("enum") if isinstance(schema.get("enum"), list) else []
    given = (schema.get("default"), schema.get("const"), *(examples or []), *(choices or []))
    return next((item for item in given if _is_value(item)), _MISSING)


def _is_value(value: Any) -> bool:
    """An empty text in a document means that there is no default. Numbers that JSON does not have are no values."""
    if value is None or value is _MISSING or value == "":
        return False
    try:
        canonical(value)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _properties(api: Api) -> dict[str, Any]:
    definition = _read(api.definition)
    parameters = definition.get("parameters") if isinstance(definition, dict) else None
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    return properties if isinstance(properties, dict) else {}


def _read(text: str | None) -> Any:
    try:
        return _MISSING if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return _MISSING
