"""Minimal instances of a JSON Schema, for requests whose meaning the rules do not know."""

from collections.abc import Mapping
from random import Random
from typing import Any

from toolbench.teacher.offline.parameters import invent, parameter

_DEEPEST = 12
_FORMATS = {
    "date": "2026-03-14",
    "date-time": "2026-03-14T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "P1D",
    "email": "office@example.net",
    "uri": "https://example.org/",
    "hostname": "example.org",
    "ipv4": "192.0.2.17",
    "ipv6": "2001:db8::17",
    "uuid": "3f2b8c1e-7d4a-4e52-9a61-0c5d7e8f9b21",
}


def instance(schema: Any, rng: Random, name: str = "value") -> Any:
    """A small valid value of `schema` (draft 2020-12; no `pattern`, `not`, `if`): required properties only."""
    return _instance(schema, rng, name, schema if isinstance(schema, dict) else {}, 0)


def _resolved(schema: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` with a local `$ref` followed and `allOf` merged."""
    merged: dict[str, Any] = dict(schema) if isinstance(schema, dict) else {}
    for _ in range(_DEEPEST):
        pointer = merged.pop("$ref", None)
        if not isinstance(pointer, str) or not pointer.startswith("#"):
            break
        target: Any = root
        for part in pointer[1:].split("/")[1:]:
            target = target.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(target, dict) else {}
        merged = {**target, **merged} if isinstance(target, dict) else merged
    for part in merged.pop("allOf", ()):
        other = _resolved(part, root)
        properties = {**merged.get("properties", {}), **other.get("properties", {})}
        required = [*merged.get("required", []), *other.get("required", [])]
        merged = {**merged, **other} | (
            {"properties": properties, "required": required} if properties or required else {}
        )
    return merged


def _instance(schema: Any, rng: Random, name: str, root: Mapping[str, Any], depth: int) -> Any:
    here = _resolved(schema, root)
    if "const" in here:
        return here["const"]
    if isinstance(here.get("enum"), list) and here["enum"]:
        return rng.choice(here["enum"])
    for key in ("anyOf", "oneOf"):
        if branches := here.get(key):
            # Deep down the last branch ends a recursion: by custom it is null.
            branch = branches[-1] if depth > _DEEPEST // 2 else branches[0]
            outer = {k: v for k, v in here.items() if k != key}
            return _instance({"allOf": [outer, branch]}, rng, name, root, depth + 1)
    kind = here.get("type")
    if isinstance(kind, list):
        kind = "null" if "null" in kind and depth > _DEEPEST // 2 else kind[0]
    if kind is None:
        kind = "object" if "properties" in here or "required" in here else "array" if "items" in here else "string"
    if kind == "object":
        return _object(here, rng, root, depth)
    if kind == "array":
        return _array(here, rng, name, root, depth)
    if kind in ("integer", "number"):
        return _number(here, kind, rng)
    return (
        {"null": None, "boolean": rng.random() < 0.5}.get(kind)
        if kind in ("null", "boolean")
        else _string(here, rng, name)
    )


def _object(here: Mapping[str, Any], rng: Random, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = here.get("properties") or {}
    out = (
        {key: _instance(properties.get(key, {}), rng, key, root, depth + 1) for key in here.get("required") or ()}
        if depth < 4 * _DEEPEST
        else {}
    )
    extra = here.get("additionalProperties", {})
    spare = [key for key in properties if key not in out] + [
        f"extra_{index}" for index in range(here.get("minProperties", 0))
    ]
    for key in spare:
        if len(out) >= here.get("minProperties", 0):
            break
        out[key] = _instance(properties.get(key, extra if isinstance(extra, dict) else {}), rng, key, root, depth + 1)
    return out


def _array(here: Mapping[str, Any], rng: Random, name: str, root: Mapping[str, Any], depth: int) -> list[Any]:
    first = here.get("prefixItems") or []
    fewest = here.get("minItems", 0)
    size = max(
        fewest, min(1, here.get("maxItems", 1)) if depth < _DEEPEST // 2 and here.get("items") is not False else 0
    )
    out = [
        _instance(first[i] if i < len(first) else here.get("items", {}), rng, name, root, depth + 1)
        for i in range(size)
    ]
    for index in range(len(out) if here.get("uniqueItems") else 0):
        for again in range(50):
            if out[index] not in out[:index]:
                break
            out[index] = _distinct(_instance(here.get("items", {}), rng, name, root, depth + 1), again)
    return out


def _distinct(value: Any, number: int) -> Any:
    """Another value of the same type, where drawing again gave an equal one."""
    return f"{value} {number + 2}" if isinstance(value, str) and number > 8 else value


def _number(here: Mapping[str, Any], kind: str, rng: Random) -> int | float:
    """The least multiple of `multipleOf` within the limits; between two limits of a plain number their middle."""
    step: float = here.get("multipleOf") or 1
    lows = [here[key] for key in ("minimum", "exclusiveMinimum") if key in here]
    highs = [here[key] for key in ("maximum", "exclusiveMaximum") if key in here]
    low, high = max(lows, default=None), min(highs, default=None)
    value: float
    if low is None and high is None:
        value = rng.randint(1, 9) * step
    elif low is not None and high is not None and kind == "number" and "multipleOf" not in here:
        value = (low + high) / 2
    elif low is None and high is not None:
        value = high // step * step
        value -= step if value >= here.get("exclusiveMaximum", value + 1) else 0
    else:
        value = -(-(low or 0) // step) * step
        value += step if value <= here.get("exclusiveMinimum", value - 1) else 0
    return int(value) if kind == "integer" else value


def _string(here: Mapping[str, Any], rng: Random, name: str) -> str:
    text = _FORMATS.get(str(here.get("format"))) or str(invent(parameter(name, {**here, "type": "string"}, True), rng))
    fewest, most = here.get("minLength", 0), here.get("maxLength")
    text = text if len(text) >= fewest else (text + " " + text * fewest)[:fewest]
    return text if most is None else text[:most]
