"""Whether a value is what a documented response schema says. The schemas come from catalogues: they are not trusted."""

from typing import Any

_NOT_FOLLOWED = frozenset(("$ref", "$dynamicRef", "pattern", "patternProperties"))
"""References could lead outside or multiply, patterns could take for ever: values are not checked by them."""
_MAX_DEPTH = 40


def problem(value: Any, schema: Any) -> str:
    """What is wrong with `value` by a JSON Schema (draft 2020-12), in a few words; empty if nothing is.

    A schema that is none forbids nothing.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    if not isinstance(schema, dict):
        return ""
    harmless = _harmless(schema, 0)
    try:
        error = best_match(Draft202012Validator(harmless).iter_errors(value))
        if error is None:
            return ""
        Draft202012Validator.check_schema(harmless)
    except Exception:  # a broken schema breaks the validator in ways of its own
        return ""
    return f"at {error.json_path} {' '.join(error.message.split())[:200]}"


def _harmless(schema: Any, depth: int) -> Any:
    """The schema without what is not followed; a property may well be called `pattern`."""
    if depth > _MAX_DEPTH:
        return {}
    if isinstance(schema, list):
        return [_harmless(item, depth + 1) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, dict):
            kept[key] = {name: _harmless(inner, depth + 1) for name, inner in value.items()}
        elif key in ("enum", "const", "default", "example", "examples", "required"):
            kept[key] = value
        elif key not in _NOT_FOLLOWED:
            kept[key] = _harmless(value, depth + 1)
    return kept
