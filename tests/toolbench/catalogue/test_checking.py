"""Every function definition is checked, by its skeleton, as exactly as jsonschema would check the whole of it."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.catalogue import Holdout
from toolbench.catalogue.assemble import assemble
from toolbench.catalogue.checking import Checker
from toolbench.catalogue.drafts import ApiDraft, ParameterDraft, Reading, ToolDraft


def definition(properties: Any, name: Any = "f", required: Any = ()) -> dict[str, Any]:
    shape = {"type": "object", "properties": properties, "required": list(required)}
    return {"name": name, "description": "d", "parameters": shape}


@pytest.mark.parametrize("name", ["f", "get_20-a", "x" * 64])
def test_sound_definitions(name: str) -> None:
    city = {"type": "string", "description": "A city", "examples": ["Oslo"]}
    assert Checker().fault(definition({"city": city, "$ref": {"type": "array", "items": city}}, name, ["city"])) is None


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (definition({}, ""), "name"),
        (definition({}, "x" * 65), "name"),
        (definition({}, "a b"), "name"),
        (definition({}, "größe"), "name"),
        (definition({}, "f\n"), "name"),
        (definition({}, None), "name"),
        ({"name": "f", "parameters": {"type": "string"}}, "no JSON Schema of an object"),
        ({"name": "f", "parameters": None}, "no JSON Schema of an object"),
        (definition([]), "whose parameters/properties are no JSON Schema"),
        (definition({"a": {}}, required=["b"]), "requires what it does not describe"),
        (definition({"a": {}}, required=["a", "a"]), "one thing twice"),
        (definition({"a": {}}, required=[["a"]]), "requires what it does not describe"),
        (definition({"a": {"type": "date"}}), "parameters/properties/a/type are no JSON Schema: 'date' is not valid"),
        (definition({"a": {"minLength": -1}}), "parameters/properties/a/minLength are no JSON Schema: -1 is less"),
        (definition({"a": {"items": {"enum": 3}}}), "parameters/properties/a/items/enum are no JSON Schema"),
        (definition({"a": {"description": 3}}), "parameters/properties/a/description are no JSON Schema"),
        (definition({"a": {"examples": "x"}}), "parameters/properties/a/examples are no JSON Schema"),
        (definition({"a": "string"}), "parameters/properties/a are no JSON Schema"),
        ({"name": "f", "parameters": {"type": "object", "properties": {}, "$defs": 3}}, "parameters/$defs are no"),
    ],
)
def test_broken_definitions(broken: dict[str, Any], why: str) -> None:
    fault = Checker().fault(broken)
    assert fault is not None
    assert fault.reason == "invalid_definition"
    assert why in fault.why
    assert len(fault.why) < 500


def test_a_skeleton_is_judged_once_and_told_with_each_property_s_own_name() -> None:
    checker = Checker()
    for name in ("a", "b"):
        fault = checker.fault(definition({name: {"type": "no", "description": name}}))
        assert fault is not None
        assert f"properties/{name}/type" in fault.why


words = st.sampled_from(
    ["string", "array", "no", -1, 1.5, True, None, [], ["string"], {}, {"type": "x"}, [{}], ["a", "a"]]
)
keys = st.sampled_from(
    ["type", "description", "examples", "enum", "items", "minLength", "minimum", "format", "required", "properties"]
)
schemas = st.recursive(
    st.dictionaries(keys, words, max_size=3),
    lambda inner: (
        st.dictionaries(st.sampled_from(["items", "additionalProperties", "not"]), inner, max_size=2)
        | st.builds(lambda p: {"properties": p}, st.dictionaries(st.sampled_from(["description", "a"]), inner))
    ),
    max_leaves=4,
)
CHECKER = Checker()


@given(st.dictionaries(st.sampled_from(["description", "examples", "a", "$id"]), schemas | words, max_size=3))
def test_a_skeleton_says_what_jsonschema_says_of_the_whole(properties: dict[str, Any]) -> None:
    whole = definition(properties, required=properties)
    try:
        jsonschema.Draft202012Validator.check_schema(whole["parameters"])
        valid = True
    except jsonschema.SchemaError:
        valid = False
    assert (CHECKER.fault(whole) is None) == valid


def test_an_api_whose_definition_is_wrong_is_a_reject() -> None:
    def api(name: str, schema: dict[str, Any]) -> ApiDraft:
        parameter = ParameterDraft(name="n", required=True, description="", schema=schema, location="query")
        return ApiDraft(
            name=name, description="", method="GET", url="https://x.org", parameters=(parameter,),
            response_schema=None, response_example=None, pointer=f"/{name}",
        )  # fmt: skip

    def tool(name: str, *apis: ApiDraft) -> ToolDraft:
        return ToolDraft(
            name=name, title=name, description="", category="Data", base_url="", origin="openapi", locator="x.json",
            apis=apis,
        )  # fmt: skip

    bad = {"type": "string", "minLength": -1}
    readings = [
        Reading(tools=[tool("one", api("good", {"type": "string"}), api("bad", bad)), tool("two", api("c", bad))])
    ]
    catalogue = assemble(readings, categories=None, holdout=Holdout())
    assert [a.name for a in catalogue.apis] == ["good"]
    assert [t.name for t in catalogue.tools] == ["one"]
    assert catalogue.taken_in == 3 == len(catalogue.apis) + len(catalogue.rejects)
    row = next(r for r in catalogue.rejects if r.record_id == "x.json#/bad")
    assert (row.reason, row.category) == ("invalid_definition", "Data")
    assert row.detail == (
        "x.json#/bad gives a function whose parameters/properties/n/minLength are no JSON Schema: "
        "-1 is less than the minimum of 0."
    )
    assert json.loads(row.payload)["name"] == "bad_for_one"
