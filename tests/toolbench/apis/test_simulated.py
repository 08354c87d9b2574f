import asyncio
import json
import math
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolbench.apis.simulated import Simulated
from toolbench.catalogue.schemas import Schemas
from toolbench.records import Api


def api(schema: Any = None, example: Any = None, id_: str = "C/t/a") -> Api:
    return Api(
        id=id_, tool_id="", tool="", name="", category="", collections=[], description="", method="GET", url="",
        parameters=[], function="f", definition="{}", digest="",
        response_schema=None if schema is None else json.dumps(schema),
        response_example=None if example is None else json.dumps(example),
    )  # fmt: skip


def ask(what: Api, arguments: dict[str, Any] | None = None, seed: int = 0) -> Any:
    response = asyncio.run(Simulated(seed).call(what, arguments or {}))
    assert response is not None
    assert (response.status, response.source, response.error) == (0, "simulated", "")
    json.dumps(response.response, allow_nan=False)
    return response.response


names = st.sampled_from(["id", "name", "start_date", "email", "url", "count", "time", "x", "größe"])
scalars = st.sampled_from(["string", "integer", "number", "boolean", "null"]).map(lambda kind: {"type": kind})
bounds = st.floats(-1e6, 1e6) | st.integers(-10_000, 10_000)


@st.composite
def bounded(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        low = draw(st.integers(-10_000, 10_000))
        limits = {"minimum": low, "maximum": low + draw(st.integers(0, 5000))}
        kind = "integer"
    else:
        low_, high = sorted((draw(bounds), draw(bounds)))
        limits = {"minimum": low_, "maximum": high}
        kind = "number"
    dropped = draw(st.sampled_from(["", "minimum", "maximum"]))
    return {"type": kind} | {k: v for k, v in limits.items() if k != dropped}


enums = st.lists(st.integers() | st.text(max_size=4) | st.none() | st.booleans(), min_size=1).map(lambda v: {"enum": v})
constants = st.sampled_from([0, "", False, None, "x", [], {}]).map(lambda v: {"const": v})
schemas = st.recursive(
    scalars | bounded() | enums | constants,
    lambda inner: (
        st.dictionaries(names, inner, max_size=4).map(
            lambda p: {"type": "object", "properties": p, "required": sorted(p)}
        )
        | inner.map(lambda s: {"type": "array", "items": s})
        | st.lists(inner, min_size=1, max_size=3).map(lambda s: {"anyOf": s})
        | scalars.map(lambda s: {"type": [s["type"], "null"]})
    ),
    max_leaves=6,
)


def _depth(schema: Any) -> int:
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    return 1 + max((_depth(item) for item in inner), default=0)


arguments = st.dictionaries(names, st.text(max_size=4) | st.integers() | st.floats(-9, 9) | st.booleans() | st.none())


@settings(max_examples=200, deadline=None)
@given(schemas.filter(lambda s: _depth(s) < 12), arguments, st.integers(0, 3))
def test_the_value_follows_its_schema(schema: Any, arguments: dict[str, Any], seed: int) -> None:
    value = ask(api(schema), arguments, seed)
    jsonschema.Draft202012Validator(schema).validate(value)
    assert ask(api(schema), arguments, seed) == value


CHECKED = jsonschema.FormatChecker(["date", "uuid"])


@st.composite
def leaves(draw: st.DrawFn) -> dict[str, Any]:
    """Scalars with every keyword that `Schemas.inline` keeps, never two that exclude each other."""
    kind = draw(st.sampled_from(["string", "integer", "number", "boolean"]))
    schema: dict[str, Any] = {"type": kind, "description": "A value"}
    if kind == "string":
        fewest = draw(st.integers(0, 60))
        sizes = {"minLength": fewest, "maxLength": fewest + draw(st.integers(0, 9))}
        schema |= {k: v for k, v in sizes.items() if draw(st.booleans())}
        formats = ["unheard-of"] if len(schema) > 2 else ["date", "uuid", "unheard-of"]
        schema |= {"format": draw(st.sampled_from(formats))} if draw(st.booleans()) else {}
    if kind in ("integer", "number"):
        schema |= {k: math.floor(v) if k == "minimum" else v for k, v in draw(bounded()).items() if k != "type"}
    if draw(st.booleans()):
        mixed = draw(st.lists(st.integers() | st.text(max_size=4) | st.floats(-9, 9) | st.booleans(), min_size=1))
        usual = jsonschema.Draft202012Validator(schema, format_checker=CHECKED)
        schema |= {"enum": mixed} if all(map(usual.is_valid, mixed)) or kind == "boolean" else {}
    return schema


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def with_required(properties: dict[str, Any]) -> st.SearchStrategy[Any]:
        required = st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([])
        return required.map(lambda names: {"type": "object", "properties": properties, "required": names})

    return st.dictionaries(names, inner, max_size=4).flatmap(with_required)


@st.composite
def _arrays(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[str, Any]:
    fewest = draw(st.integers(0, 9))
    sizes = {"minItems": fewest, "maxItems": fewest + draw(st.integers(0, 4))}
    return {"type": "array", "items": draw(inner)} | {k: v for k, v in sizes.items() if draw(st.booleans())}


documented = st.recursive(
    leaves() | st.just({}) | st.just({"type": "object"}) | st.just({"type": "array", "items": {}}),
    lambda inner: _objects(inner) | _arrays(inner) | inner.map(lambda s: {"type": "object", "additionalProperties": s}),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(documented, arguments, st.integers(0, 3))
def test_documented_schemas_are_followed_to_the_letter(schema: Any, arguments: dict[str, Any], seed: int) -> None:
    inlined = Schemas({}).inline(schema, 30)
    value = ask(api(inlined), arguments, seed)
    jsonschema.Draft202012Validator(inlined, format_checker=CHECKED).validate(value)


@pytest.mark.parametrize(
    ("form", "example"),
    [("date", "2024-"), ("uuid", "-"), ("ipv4", "."), ("ipv6", ":"), ("email", "@"), ("uri", "://"), ("hostname", "."),
     ("time", ":"), ("date-time", "T")],
)  # fmt: skip
def test_formats_are_kept(form: str, example: str) -> None:
    schema = {"type": "object", "properties": {"start_date": {"type": "string", "format": form}}}
    value = ask(api(schema), {"start_date": 5})
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(
        value
    )
    assert example in value["start_date"]


def test_a_greedy_schema_gets_a_bounded_value() -> None:
    deep: Any = {"type": "string", "minLength": 10**12}
    for _ in range(12):
        deep = {"type": "array", "items": deep, "minItems": 150}
    assert len(json.dumps(ask(api(deep)))) < 10**6
    many = {"type": "object", "required": [str(n) for n in range(10_000)], "additionalProperties": {"type": "integer"}}
    assert len(ask(api({"type": "array", "items": many, "minItems": 200}))) <= 200
    hostile = {"type": "string", "pattern": "(a+)+$", "enum": ["a" * 40 + "!"], "$ref": "http://127.0.0.1:9/x"}
    assert ask(api(hostile)) == "a" * 40 + "!"


def test_the_answer_depends_on_api_arguments_and_seed() -> None:
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in "abcd"}}
    base = ask(api(schema), {"q": 1})
    assert base == ask(api(schema), {"q": 1})
    assert len({json.dumps(v) for v in (base, ask(api(schema), {"q": 2}), ask(api(schema), {"q": 1}, seed=1),
                                        ask(api(schema, id_="C/t/b"), {"q": 1}))}) == 4  # fmt: skip


def test_arguments_are_taken_up_where_they_fit() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 9}}}
    assert ask(api(schema), {"city": "Oslo", "days": 7}) == {"city": "Oslo", "days": 7}
    for unfit in (10, 2.5, True, "7"):
        days = ask(api(schema), {"days": unfit})["days"]
        assert type(days) is int
        assert days <= 9


def test_an_example_gives_its_shape() -> None:
    example = {
        "city": "Paris",
        "n": "int",
        "deep": [{"on": "bool", "t": "float", "s": "str", "none": "NoneType"}],
        "k": 3,
    }
    value = ask(api(example=example), {"city": "Oslo"})
    assert value["city"] == "Oslo"
    assert value["k"] == 3
    assert type(value["n"]) is int
    (deep,) = value["deep"]
    assert [type(deep[k]) for k in ("on", "t", "s", "none")] == [bool, float, str, type(None)]


def test_without_schema_and_example_the_arguments_come_back() -> None:
    assert ask(api(), {"city": "Oslo"})["city"] == "Oslo"


@pytest.mark.parametrize(
    "schema",
    [
        {}, [], True, 3, "x", {"type": {}}, {"type": []}, {"type": 5}, {"properties": []}, {"properties": {"a": None}},
        {"type": "array"}, {"items": []}, {"anyOf": {}}, {"anyOf": [None]}, {"enum": {}}, {"examples": {}},
        {"type": "integer", "minimum": 9, "maximum": 1}, {"type": "integer", "minimum": "1", "maximum": True},
        {"type": "integer", "minimum": 1e308, "maximum": 1.7e308}, {"type": "number", "minimum": -1.7e308},
        {"type": "number", "minimum": -1.7e308, "maximum": 1.7e308},
        {"type": "string", "format": 3}, {"type": "unheard-of"}, {"$ref": "#/nowhere"},
    ],
)  # fmt: skip
def test_a_weird_schema_is_no_crash(schema: Any) -> None:
    assert json.dumps(ask(api(schema), {"": math.pi}), allow_nan=False), "a JSON value, whatever the schema"


def test_weird_text_is_no_crash() -> None:
    deep: Any = {"type": "string"}
    for _ in range(90):
        deep = {"type": "array", "items": deep}
    assert json.dumps(ask(api(deep)), allow_nan=False)
    assert ask(api({"type": "integer", "minimum": 1}), {"x": "half a pair \ud83d"}) >= 1
    endless = '{"type": "number", "minimum": 1e999, "maximum": NaN}'
    what = api({})
    object.__setattr__(what, "response_schema", endless)
    assert json.dumps(ask(what), allow_nan=False)


def test_the_crawls_schemas_are_no_crash(data_dir: Path) -> None:
    asked = 0
    with tarfile.open(data_dir / "toolenv.tar.gz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".json") else None
            for entry in json.loads(file.read()).get("api_list") or [] if file else []:
                if isinstance(entry, dict) and entry.get("schema"):
                    ask(api(entry["schema"]), {"id": "7"})
                    asked += 1
            if asked >= 1500:
                break
    assert asked >= 1500
