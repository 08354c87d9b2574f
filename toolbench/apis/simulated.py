"""Simulated responses: a typed, plausible value that follows the documented response schema or example.

A pure function of the API, the arguments and the seed. Every such response is marked `simulated`.
"""

import math
import random
from typing import Any

from toolbench.apis.values import read_json
from toolbench.digests import canonical, seed_of
from toolbench.records import Api, Response

_MAX_DEPTH = 6
_WORDS = (
    "amber", "bridge", "cedar", "delta", "ember", "falcon", "garnet", "harbor", "iris", "juniper", "kestrel", "lumen",
    "maple", "north", "onyx", "prairie", "quartz", "river", "summit", "tundra", "umber", "violet", "willow", "zephyr",
)  # fmt: skip


class Simulated:
    """Answers every call by itself."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    async def close(self) -> None:
        """Nothing to close."""

    async def call(self, api: Api, arguments: dict[str, Any]) -> Response | None:
        """A response that follows the API's response schema, else its example, else one that repeats the arguments."""
        rng = random.Random(seed_of(self._seed, api.id, canonical(arguments)))
        if api.response_schema:
            value = _of_schema(read_json(api.response_schema), "", arguments, rng, 0)
        elif api.response_example:
            value = _like(read_json(api.response_example), "", arguments, rng, 0)
        else:
            value = {"status": "ok", **arguments, "result": _text("result", rng)}
        return Response(response=value, source="simulated")


def _of_schema(schema: Any, name: str, arguments: dict[str, Any], rng: random.Random, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    if "const" in schema:
        return schema["const"]
    for key in ("default", "example"):
        if schema.get(key) not in (None, "", {}, []):
            return schema[key]
    if isinstance(schema.get("examples"), list) and schema["examples"]:
        return rng.choice(schema["examples"])
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return rng.choice(schema["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        options = schema.get(key)
        if isinstance(options, list) and options:
            return _of_schema(options[0], name, arguments, rng, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    properties = schema.get("properties")
    if kind == "object" or isinstance(properties, dict):
        items = properties.items() if isinstance(properties, dict) else ()
        return {str(k): _of_schema(v, str(k), arguments, rng, depth + 1) for k, v in items}
    if kind == "array" or "items" in schema:
        return [_of_schema(schema.get("items"), name, arguments, rng, depth + 1) for _ in range(rng.randint(1, 3))]
    return _scalar(str(kind or "string"), name, arguments, rng, schema)


def _scalar(kind: str, name: str, arguments: dict[str, Any], rng: random.Random, schema: dict[str, Any]) -> Any:
    if kind == "null":
        return None
    if kind == "boolean":
        return rng.random() < 0.5
    if kind in ("integer", "number"):
        return _number(kind, arguments.get(name), rng, schema.get("minimum"), schema.get("maximum"))
    if isinstance(arguments.get(name), str):
        return arguments[name]
    return _text(name, rng, str(schema.get("format", "")))


def _number(kind: str, given: Any, rng: random.Random, minimum: Any, maximum: Any) -> int | float:
    """The argument of the same name where it fits; else a number within the bounds, near 1 to 1000 if open."""
    low = minimum if _is_number(minimum) else None
    high = maximum if _is_number(maximum) else None
    fits = (low is None or given >= low) and (high is None or given <= high) if _is_number(given) else False
    if fits and (kind == "number" or isinstance(given, int)):
        return given  # type: ignore[no-any-return]
    start = low if low is not None else min(1, high) if high is not None else 1
    end = max(start, high if high is not None else start + 999)
    if kind == "integer":
        return rng.randint(math.ceil(start), max(math.ceil(start), math.floor(end)))
    return min(max(round(rng.uniform(start, end), 2), start), end)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(name: str, rng: random.Random, form: str = "") -> str:
    lowered = name.lower()
    if form == "date" or lowered.endswith("date"):
        return f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    if form == "date-time" or "time" in lowered:
        return f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}T{rng.randint(0, 23):02d}:00:00Z"
    if form in ("uri", "url") or lowered.endswith("url"):
        return f"https://example.com/{rng.choice(_WORDS)}"
    if lowered == "id" or lowered.endswith("_id"):
        return f"{rng.randrange(16**8):08x}"
    if "email" in lowered:
        return f"{rng.choice(_WORDS)}@example.com"
    return f"{rng.choice(_WORDS)} {rng.choice(_WORDS)}"


def _like(example: Any, name: str, arguments: dict[str, Any], rng: random.Random, depth: int) -> Any:
    """A value of the example's shape; ToolBench's template responses carry type names (`"str"`) in place of values."""
    if depth > _MAX_DEPTH:
        return None
    if isinstance(example, dict):
        return {str(k): _like(v, str(k), arguments, rng, depth + 1) for k, v in example.items()}
    if isinstance(example, list):
        return [_like(v, name, arguments, rng, depth + 1) for v in example[:3]]
    named = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "NoneType": "null"}
    if isinstance(example, str) and example in named:
        return _scalar(named[example], name, arguments, rng, {})
    if isinstance(example, str) and isinstance(arguments.get(name), str):
        return arguments[name]
    return example
