"""Bytes from strangers → a JSON value, or a Broken that says where it stops being one."""

import json
import math
from typing import Any

from toolbench.catalogue.drafts import Broken

MAX_BYTES = 64 << 20
"""A larger document is refused."""
_MAX_NODES = 2_000_000


def decode(raw: bytes, locator: str) -> Any:
    """The value of a JSON document, or of a YAML one if `locator` ends in .yaml or .yml.

    Numbers that JSON does not have (`NaN`, `1e999`) become text, and half surrogate pairs U+FFFD: no table could
    store them. Raises Broken with line and column.
    """
    if len(raw) > MAX_BYTES:
        raise Broken("too_large", "", f"has {len(raw):,} bytes; a document has {MAX_BYTES:,} at most")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Broken("not_utf8", "", f"is not UTF-8 at byte {error.start}") from None
    if locator.lower().endswith((".yaml", ".yml")):
        return _yaml(text)
    try:
        value = json.loads(text, parse_constant=str, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise Broken(
            "invalid_json", "", f"is not JSON at line {error.lineno} column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise Broken("too_deep", "", "is nested too deeply") from None
    except ValueError:
        raise Broken("invalid_json", "", "holds a number of thousands of digits") from None
    return _sound(value) if "\\ud" in text or "\\uD" in text else value


def _finite(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _sound(value: Any) -> Any:
    """The value without half surrogate pairs."""
    try:
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError:
        raise Broken("too_deep", "", "is nested too deeply") from None


def _yaml(text: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise Broken("no_yaml", "", "is YAML, which needs the package PyYAML") from None
    try:
        # The constructor of plain data: no tag can make it call anything.
        value = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        return _sound(_jsonable(value, [_MAX_NODES]))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise Broken("invalid_yaml", "", f"is not YAML{where}: {error.problem or 'unreadable'}") from None
    except yaml.YAMLError:
        raise Broken("invalid_yaml", "", "is not YAML: it holds characters that YAML does not allow") from None
    except RecursionError:
        raise Broken("too_deep", "", "is nested too deeply") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise Broken("invalid_yaml", "", f"holds a value that cannot be read: {error}") from None


def _jsonable(value: Any, budget: list[int]) -> Any:
    """Keys as text (`200:` is a number to YAML), dates as text, aliases written out, up to a number of nodes."""
    budget[0] -= 1
    if budget[0] < 0:
        raise Broken("too_large", "", f"has more than {_MAX_NODES:,} values once its aliases are written out")
    if isinstance(value, dict):
        return {str(k): _jsonable(v, budget) for k, v in value.items()}
    if isinstance(value, list | set | tuple):
        return [_jsonable(v, budget) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
