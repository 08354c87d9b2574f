"""Simulated responses: a typed, plausible value that follows the documented response schema or example.

A pure function of the API, the arguments and the seed. Every such response is marked `simulated`.
"""

import math
import random
from collections.abc import Iterator
from typing import Any

from toolbench.apis.checking import problem
from toolbench.apis.values import read_json
from toolbench.digests import canonical, seed_of
from toolbench.records import Api, Response

_MAX_DEPTH = 8
"""Deeper than that only what is required is made up."""
_BOTTOM = 120
_NODES = 3000
"""Values in one response; then only what is required, and after as many again nothing."""
_MAX_ITEMS = 200
_MAX_LENGTH = 20_000
_CHECKED_FORMATS = frozenset(("date", "email", "ipv4", "ipv6", "uuid"))
_MADE_FORMATS = frozenset(("date-time", "time", "duration", "uri", "url", "hostname"))
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
        """See `answer`."""
        return await self.answer(api, arguments)

    async def answer(self, api: Api, arguments: dict[str, Any]) -> Response:
        """A response that follows the API's response schema, else its example, else one that repeats the arguments."""
        rng = random.Random(seed_of(self._seed, api.id, canonical(arguments)))
        if api.response_schema:
            value = _Maker(arguments, rng).of_schema(read_json(api.response_schema), "", 0)
        elif api.response_example:
            value = _like(read_json(api.response_example), "", arguments, rng, 0)
        else:
            value = {"status": "ok", **arguments, "result": _text("result", rng)}
        return Response(response=value, source="simulated")


class _Maker:
    """Makes one value: schemas are not trusted, so what they can ask for is bounded."""

    def __init__(self, arguments: dict[str, Any], rng: random.Random) -> None:
        self._arguments = arguments
        self._rng = rng
        self._left = _NODES

    def of_schema(self, schema: Any, name: str, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, dict) or depth > _BOTTOM or self._left < -_NODES:
            return None
        schema = _combined(schema)
        if "const" in schema:
            return schema["const"]
        for choices in _documented(schema):
            fitting = [choice for choice in choices if not problem(choice, schema)]
            if fitting:
                return self._rng.choice(fitting)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((k for k in kind if k != "null"), "null")
        if kind == "object" or (not kind and isinstance(schema.get("properties"), dict)):
            return self._object(schema, depth)
        if kind == "array" or (not kind and "items" in schema):
            return self._array(schema, name, depth)
        return _scalar(str(kind or "string"), name, self._arguments, self._rng, schema)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        required = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        others = schema.get("additionalProperties")
        wanted = list(properties) if self._roomy(depth) else [name for name in properties if name in required]
        wanted += [name for name in required if name not in properties]
        if not wanted and isinstance(others, dict) and self._roomy(depth):
            wanted = self._rng.sample(_WORDS, self._rng.randint(1, 2))
        return {
            name: self.of_schema(properties.get(name, others if isinstance(others, dict) else {}), name, depth + 1)
            for name in wanted
        }

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        fewest, most = _size(schema.get("minItems"), 0), _size(schema.get("maxItems"), _MAX_ITEMS)
        size = max(fewest, min(most, self._rng.randint(1, 3))) if self._roomy(depth) else fewest
        items = schema.get("items")
        return [
            self.of_schema(items if isinstance(items, dict) else {}, name, depth + 1)
            for _ in range(min(size, _MAX_ITEMS))
            if self._left > -_NODES
        ]

    def _roomy(self, depth: int) -> bool:
        return depth < _MAX_DEPTH and self._left > 0


def _documented(schema: dict[str, Any]) -> Iterator[list[Any]]:
    """Values that the schema itself names, the most telling first."""
    for key in ("default", "example"):
        if schema.get(key) not in (None, "", {}, []):
            yield [schema[key]]
    for key in ("examples", "enum"):
        if isinstance(schema.get(key), list):
            yield schema[key]


def _combined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with all of `allOf` and the first of `anyOf` and of `oneOf` that is not null put into it."""
    for _ in range(_MAX_DEPTH):
        parts = schema.get("allOf")
        parts = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        for key in ("anyOf", "oneOf"):
            options = schema.get(key)
            options = [o for o in options if isinstance(o, dict)] if isinstance(options, list) else []
            parts += ([o for o in options if o.get("type") != "null"] or options)[:1]
        if not parts:
            break
        schema = {key: value for key, value in schema.items() if key not in ("allOf", "anyOf", "oneOf")}
        for part in parts:
            both = {k: {**schema[k], **part[k]} for k in ("properties",) if _dicts(schema.get(k), part.get(k))}
            both |= {k: schema[k] + part[k] for k in ("required",) if _lists(schema.get(k), part.get(k))}
            schema = {**schema, **part, **both}
    return schema


def _dicts(one: Any, other: Any) -> bool:
    return isinstance(one, dict) and isinstance(other, dict)


def _lists(one: Any, other: Any) -> bool:
    return isinstance(one, list) and isinstance(other, list)


def _size(value: Any, otherwise: int) -> int:
    return int(value) if _is_number(value) and 0 <= value <= _MAX_LENGTH else otherwise


def _scalar(kind: str, name: str, arguments: dict[str, Any], rng: random.Random, schema: dict[str, Any]) -> Any:
    if kind == "null":
        return None
    if kind == "boolean":
        return rng.random() < 0.5
    if kind in ("integer", "number"):
        return _number(kind, arguments.get(name), rng, schema.get("minimum"), schema.get("maximum"))
    form = str(schema.get("format", ""))
    given = arguments.get(name)
    if isinstance(given, str) and _is_form(given, form) and not problem(given, {**schema, "type": "string"}):
        return given
    text = _text(name, rng, form)
    text = text.ljust(_size(schema.get("minLength"), 0), rng.choice(_WORDS)[0])
    return text[: _size(schema.get("maxLength"), _MAX_LENGTH)]


def _number(kind: str, given: Any, rng: random.Random, minimum: Any, maximum: Any) -> int | float:
    """The argument of the same name where it fits; else a number within the bounds, near 1 to 1000 if open."""
    low = minimum if _is_number(minimum) else None
    high = maximum if _is_number(maximum) else None
    if kind == "integer":
        low, high = low if low is None else math.ceil(low), high if high is None else math.floor(high)
    fits = (low is None or given >= low) and (high is None or given <= high) if _is_number(given) else False
    if fits and (kind == "number" or isinstance(given, int)):
        return given  # type: ignore[no-any-return]
    start = low if low is not None else min(1, high) if high is not None else 1
    end = max(start, high if high is not None else start + 999)
    if kind == "integer":
        return rng.randint(start, end)
    return min(max(round(rng.uniform(start, end), 2), start), end)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_form(text: str, form: str) -> bool:
    """True if `text` has a format that can be told by a look at it, or if none that matters is asked for."""
    from jsonschema import FormatChecker

    if form in _CHECKED_FORMATS:
        return bool(FormatChecker([form]).conforms(text, form))
    return form not in _MADE_FORMATS


def _text(name: str, rng: random.Random, form: str = "") -> str:
    lowered = name.lower()
    day = f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    hour, word, number = f"{rng.randint(0, 23):02d}:00:00Z", rng.choice(_WORDS), rng.randrange(16**8)
    formats = {
        "date": day,
        "date-time": f"{day}T{hour}",
        "time": hour,
        "duration": f"P{number % 30 + 1}D",
        "email": f"{word}@example.com",
        "uri": f"https://example.com/{word}",
        "url": f"https://example.com/{word}",
        "hostname": f"{word}.example.com",
        "uuid": f"{number:08x}-0000-4000-8000-{number:012x}",
        "ipv4": f"192.0.2.{number % 254 + 1}",
        "ipv6": f"2001:db8::{number % 65535 + 1:x}",
    }
    if form in formats:
        return formats[form]
    if lowered.endswith("date"):
        return day
    if "time" in lowered:
        return formats["date-time"]
    if lowered.endswith("url"):
        return formats["uri"]
    if lowered == "id" or lowered.endswith("_id"):
        return f"{number:08x}"
    if "email" in lowered:
        return formats["email"]
    return f"{word} {rng.choice(_WORDS)}"


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
