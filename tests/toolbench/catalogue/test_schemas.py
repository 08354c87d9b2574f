"""Schemas of OpenAPI documents: one type for alternatives, references, enums that values can satisfy."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.catalogue.schemas import Schemas, type_of

STRING, INTEGER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}
LIST = {"type": "array", "items": STRING}
CAT = {"type": "object", "properties": {"purrs": {"type": "boolean"}}}
DOG = {"type": "object", "properties": {"barks": {"type": "boolean"}}}


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
@pytest.mark.parametrize(
    ("alternatives", "expected"),
    [
        ([STRING, NULL], STRING),
        ([NULL, INTEGER], INTEGER),
        ([{"enum": ["a"]}, {"enum": ["b", "a"]}], {"type": "string", "enum": ["a", "b"]}),
        ([{"const": "a"}, {"type": "string", "const": "b"}, NULL], {"type": "string", "enum": ["a", "b"]}),
        ([{"type": "integer", "enum": [1]}, {"type": "integer", "const": 2}], {"type": "integer", "enum": [1, 2]}),
        ([STRING, {"type": "string", "enum": ["a"]}], STRING),
        ([{"type": "string", "format": "date"}, {"type": "string", "format": "uuid"}], STRING),
        ([INTEGER | {"minimum": 1, "maximum": 9}, INTEGER | {"minimum": 1}], INTEGER | {"minimum": 1}),
        ([INTEGER, {"type": "number"}], {"type": "number"}),
        ([INTEGER, STRING], STRING),
        ([INTEGER, {"type": "string", "enum": ["auto"]}], INTEGER),
        ([{"type": "boolean"}, INTEGER], {"type": "boolean"}),
        ([STRING, LIST], STRING),
        ([LIST, STRING], LIST),
        ([CAT, DOG], CAT),
        ([], {}),
        ("none", {}),
    ],
)
def test_alternatives(keyword: str, alternatives: Any, expected: dict[str, Any]) -> None:
    assert Schemas({}).inline({keyword: alternatives}, 4) == expected


def test_alternatives_beside_a_type_and_a_discriminator() -> None:
    schema = {"type": "object", "discriminator": {"propertyName": "kind"}, "oneOf": [CAT, DOG], "required": ["purrs"]}
    assert Schemas({}).inline(schema, 4) == CAT | {"required": ["purrs"]}


SCALARS = st.one_of(
    st.sampled_from([STRING, INTEGER, {"type": "number"}, {"type": "boolean"}]),
    st.builds(lambda n: {"type": "integer", "minimum": n}, st.integers(-5, 5)),
    st.builds(lambda n: {"type": "string", "maxLength": n}, st.integers(0, 3)),
    st.builds(lambda c: {"type": "string", "enum": c}, st.lists(st.sampled_from("abc"), min_size=1)),
    st.builds(lambda c: {"type": "integer", "enum": c}, st.lists(st.integers(0, 3), min_size=1)),
)
VALUES = st.one_of(st.sampled_from(["", "a", "b", "abcd"]), st.integers(-9, 9), st.booleans(), st.floats(-3, 3))


@given(st.lists(SCALARS, min_size=1, max_size=4))
def test_what_stands_for_alternatives_has_the_type_of_one_of_them(alternatives: list[dict[str, Any]]) -> None:
    found = Schemas({}).inline({"anyOf": alternatives}, 2)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["type"] in {a["type"] for a in alternatives}


@given(st.lists(st.sampled_from(["a", "b", "c", 1, 2, True]), min_size=1, max_size=4), VALUES)
def test_merged_choices_allow_what_one_alternative_allows(choices: list[Any], value: Any) -> None:
    alternatives = [{"type": "string", "enum": [c]} for c in choices if isinstance(c, str)] or [{"const": "z"}]
    merged = jsonschema.Draft202012Validator(Schemas({}).inline({"oneOf": alternatives}, 2))
    assert merged.is_valid(value) == any(jsonschema.Draft202012Validator(a).is_valid(value) for a in alternatives)


@pytest.mark.parametrize(
    ("schema", "enum"),
    [
        ({"type": "integer", "enum": ["1", "2", 2]}, [1, 2]),
        ({"type": "string", "enum": [1, 2.5, "", None]}, ["1", "2.5", ""]),
        ({"type": "boolean", "enum": ["true", False, "perhaps"]}, [True, False]),
        ({"type": "number", "enum": [1, 1.0, True, "x"]}, [1]),
        ({"type": "integer", "enum": ["one"]}, None),
        ({"type": ["string", "null"], "enum": ["a", None]}, ["a"]),
        ({"enum": ["a", 1]}, ["a", 1]),
        ({"type": "string", "enum": [str(n) for n in range(101)]}, None),
    ],
)
def test_an_enum_holds_values_of_its_type(schema: dict[str, Any], enum: list[Any] | None) -> None:
    found = Schemas({}).inline(schema, 1)
    assert found.get("enum") == enum
    assert [type(v) for v in found.get("enum", [])] == [type(v) for v in enum or []]


def test_references() -> None:
    document = {"defs": {"a b": STRING, "x/y": INTEGER, "list": [CAT], "chain": {"$ref": "#/defs/a%20b"}}}
    document["defs"]["loop"] = {"$ref": "#/defs/loop"}
    schemas = Schemas(document)
    for reference, expected in (("#/defs/chain", STRING), ("#/defs/x~1y", INTEGER), ("#/defs/list/0", CAT)):
        assert schemas.follow({"$ref": reference}) == expected
        assert schemas.lost({"$ref": reference}) == ""
    for reference in ("#/defs/loop", "#/defs/list/1", "#/defs/list/x", "#/no", "#a b", "b.yml#/x", "b.yml"):
        assert schemas.follow({"$ref": reference}) is None
        assert schemas.lost({"$ref": reference}) == reference
    assert schemas.lost(None) == schemas.lost(5) == schemas.lost({"$ref": 5}) == ""


def test_what_stands_beside_a_reference_wins() -> None:
    schemas = Schemas({"defs": {"a": {"type": "string", "description": "Any", "maxLength": 3}}})
    assert schemas.inline({"$ref": "#/defs/a", "description": "This", "type": None}, 1) == {
        "type": "string", "description": "This", "maxLength": 3,
    }  # fmt: skip


def test_a_part_is_lost_if_all_of_it_or_no_alternative_is_there() -> None:
    lost = {"$ref": "b.yml"}
    schemas = Schemas({"here": {"allOf": [STRING, lost]}})
    for schema in (
        lost,
        {"$ref": "#/here"},
        {"allOf": [lost]},
        {"anyOf": [lost, NULL]},
        {"oneOf": [{"allOf": [lost]}]},
    ):
        assert schemas.lost_part(schema) == "b.yml"
    for schema in ({"anyOf": [lost, STRING]}, {"properties": {"a": lost}}, {"items": lost}, {"allOf": 5}, None):
        assert schemas.lost_part(schema) == ""


def test_cycles_and_numbers_beyond_floats_end() -> None:
    me = {"$ref": "#/me"}
    schemas = Schemas({"me": {"allOf": [me] * 30, "anyOf": [me] * 30, "oneOf": [me] * 30, "minimum": 10**400}})
    assert schemas.lost_part(me) == ""
    assert schemas.inline(me, 4) == {"minimum": 10**400}
    assert type_of(schemas.merged(me)) == ""
