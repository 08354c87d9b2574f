"""JSON from outside, made fit to be stored."""

import json
import math
from typing import Any

_MAX_DEPTH = 100


def read_json(text: str | bytes) -> Any:
    """The JSON value of `text`; a number that JSON does not have (NaN, Infinity, 1e999) becomes null.

    Raises ValueError for what is no JSON, and for values nested deeper than any reader later on could write again.
    """
    try:
        return _finite(json.loads(text), 0)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {key: _finite(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item, depth + 1) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
