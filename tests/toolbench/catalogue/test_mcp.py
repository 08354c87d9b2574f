"""MCP `tools/list` results: every form of them, what is broken in them, and the real ones."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolbench.catalogue import Catalogue, Holdout, mcp, read
from toolbench.errors import UsageError

FORECAST: dict[str, Any] = {
    "name": "get-forecast",
    "description": "The <b>forecast</b> of a city",
    "inputSchema": {
        "type": "object",
        "$defs": {"City": {"type": "string", "description": "Its name", "examples": ["Oslo"]}},
        "allOf": [{"properties": {"days": {"type": "integer", "default": 3}}}],
        "properties": {
            "city": {"$ref": "#/$defs/City"},
            "unit": {"anyOf": [{"type": "null"}, {"enum": ["C", "F"]}]},
            "apiKey": {"type": "string", "default": "sesame"},
            "tags": {"type": "array"},
        },
        "required": ["city"],
    },
    "outputSchema": {"type": "object", "properties": {"wind": {"type": "number"}}},
    "annotations": {"title": "Forecast", "readOnlyHint": True},
}
TITLED: dict[str, Any] = {"name": "now", "inputSchema": {"type": "object"}, "annotations": {"title": "Time now"}}


def catalogue_of(folder: Path, document: Any, category: str | None = None, name: str = "desk.json") -> Catalogue:
    (folder / name).write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return read(str(folder / name), category=category, holdout=Holdout())


def forms() -> dict[str, Any]:
    result = {"tools": [FORECAST, TITLED], "nextCursor": ""}
    return {
        "collected": {"server": "desk", "category": "Weather", "tools": [FORECAST, TITLED]},
        "result": result,
        "reply": {"jsonrpc": "2.0", "id": 1, "result": result},
        "bare": [FORECAST, TITLED],
        "with server info": {"serverInfo": {"name": "desk", "version": "1"}, **result},
        "snake case": [{"name": "x", "input_schema": {}}, TITLED],
    }


@pytest.mark.parametrize("form", forms())
def test_every_form_of_a_list_is_read_alike(form: str, tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path, forms()[form])
    (tool,) = catalogue.tools
    assert (tool.name, tool.origin, tool.base_url) == ("desk", "mcp", "")
    assert len(catalogue.apis) == 2
    assert catalogue.rejects == []
    (draft,) = mcp.read(forms()[form], "desk.json", None).tools
    assert draft.category == ("Weather" if form == "collected" else "")


def test_a_tool_becomes_an_api_with_its_input_schema_as_parameters(tmp_path: Path) -> None:
    document = {"server": "Desk", "category": "News, Media", "address": "https://u:p@h.example/mcp?key=1"}
    catalogue = catalogue_of(tmp_path, {**document, "tools": [FORECAST, TITLED]}, category="Other")
    forecast, now = catalogue.apis
    assert (forecast.name, forecast.method, forecast.category) == ("get-forecast", "POST", "News_Media")
    assert forecast.url == "mcp+https://h.example/mcp" == catalogue.tools[0].base_url
    assert {p.name: (p.type, p.required, p.location, p.secret) for p in forecast.parameters} == {
        "city": ("string", True, "body", False),
        "days": ("integer", False, "body", False),
        "unit": ("string", False, "body", False),
        "apiKey": ("string", False, "body", True),
        "tags": ("array", False, "body", False),
    }
    definition = json.loads(forecast.definition)["parameters"]
    assert definition["properties"]["city"] == {"type": "string", "description": "Its name", "examples": ["Oslo"]}
    assert definition["properties"]["unit"]["enum"] == ["C", "F"]
    assert "sesame" not in json.dumps([p.default for p in forecast.parameters])
    assert json.loads(forecast.response_schema or "")["properties"] == {"wind": {"type": "number"}}
    assert (forecast.description, now.description) == ("The forecast of a city", "Time now")


def test_the_category_given_is_for_lists_that_name_none(tmp_path: Path) -> None:
    assert catalogue_of(tmp_path, [FORECAST], category="Weather").apis[0].category == "Weather"


@pytest.mark.parametrize(
    ("tool", "reason", "place"),
    [
        (7, "wrong_type", "/tools/1 "),
        ({"inputSchema": {}}, "empty_name", "/tools/1/name "),
        ({"name": "  ", "inputSchema": {}}, "empty_name", "/tools/1/name "),
        ({"name": "n" * 300, "inputSchema": {}}, "long_name", "/tools/1/name "),
        ({"name": "x"}, "wrong_type", "/tools/1/inputSchema "),
        ({"name": "x", "input_schema": []}, "wrong_type", "/tools/1/input_schema "),
        ({"name": "x", "inputSchema": {"type": "array"}}, "wrong_type", "/tools/1/inputSchema/type "),
        ({"name": "x", "inputSchema": {"$ref": "#/$defs/no"}}, "unresolved_reference", "/tools/1/inputSchema/$ref "),
        ({"name": "x", "inputSchema": {"properties": 1}}, "wrong_type", "/tools/1/inputSchema/properties "),
        ({"name": "x", "inputSchema": {"required": "a"}}, "wrong_type", "/tools/1/inputSchema/required "),
        ({"name": "x", "inputSchema": {"properties": {"a/b": 1}}}, "wrong_type", "/inputSchema/properties/a~1b "),
        ({"name": "x", "inputSchema": {"properties": {"": {}}}}, "empty_name", "/tools/1/inputSchema/properties/ "),
        ({"name": "x", "inputSchema": {}, "outputSchema": 1}, "wrong_type", "/tools/1/outputSchema "),
        ({"name": "x", "inputSchema": {}, "description": 1}, "wrong_type", "/tools/1/description "),
        ({"name": "x", "inputSchema": {}, "annotations": 1}, "wrong_type", "/tools/1/annotations "),
    ],
)
def test_a_broken_tool_is_rejected_with_its_pointer_and_the_others_are_read(
    tool: Any, reason: str, place: str, tmp_path: Path
) -> None:
    catalogue = catalogue_of(tmp_path, {"tools": [FORECAST, tool, TITLED]})
    assert len(catalogue.apis) == 2
    (row,) = catalogue.rejects
    assert row.reason == reason
    assert place in row.detail


def test_a_list_that_goes_on_elsewhere_says_so(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path, {"result": {"tools": [FORECAST], "nextCursor": "2"}, "jsonrpc": "2.0"})
    assert len(catalogue.apis) == 1
    (row,) = catalogue.rejects
    assert (row.reason, "#/result/nextCursor names a further page" in row.detail) == ("incomplete_list", True)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"tools": []}, "desk.json#/tools is empty"),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, "desk.json#/result/tools must be a list"),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}}, "is an error and no list of tools: no"),
        ({"tools": 5}, "is none of"),
        ([{"name": "x", "inputSchema": 1}], "desk.json#/0/inputSchema must be a JSON Schema"),
    ],
)
def test_a_list_with_nothing_to_call_is_the_users_error(document: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        catalogue_of(tmp_path, document)
    assert expected in str(raised.value)


def test_half_surrogates_in_a_list_can_be_stored(tmp_path: Path) -> None:
    odd = json.dumps([{"name": "x\ud800", "description": "\udfff y", "inputSchema": {}}])
    (api,) = catalogue_of(tmp_path, odd).apis
    assert api.name.encode("utf-8") == b"x?"


def test_schemas_that_refer_to_themselves_end(tmp_path: Path) -> None:
    me = {"$ref": "#/$defs/A"}
    schema = {"$defs": {"A": {"type": "object", "properties": {"a": me, "b": me}}}, "properties": {"x": me}}
    (api,) = catalogue_of(tmp_path, [{"name": "x", "inputSchema": schema, "outputSchema": schema}]).apis
    assert len(api.definition) < 50_000


def test_all_real_lists_are_read(data_dir: Path) -> None:
    files = sorted((data_dir / "mcp").glob("*.json"))
    listed = sum(len(json.loads(f.read_text(encoding="utf-8"))["tools"]) for f in files)
    catalogue = read(str(data_dir / "mcp"), holdout=Holdout())
    assert (len(files), listed) == (30, 133)
    assert catalogue.taken_in == 133 == len(catalogue.apis) + len(catalogue.rejects)
    assert catalogue.rejects == []
    assert len(catalogue.tools) == 30
    assert all(tool.category for tool in catalogue.tools)
    for api in catalogue.apis:
        jsonschema.Draft202012Validator.check_schema(json.loads(api.definition)["parameters"])
        assert "$ref" not in api.definition


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("#/$defs/City"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$ref", "type", "allOf", "properties", "name", "required", ""]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form=st.sampled_from(sorted(forms())), data=st.data())
def test_mutated_lists_are_read_or_refused(form: str, data: st.DataObject, tmp_path: Path) -> None:
    document = mutated(forms()[form], data)
    try:
        catalogue = catalogue_of(tmp_path, document)
    except UsageError:
        return
    result = document.get("result", document) if isinstance(document, dict) else {"tools": document}
    more = isinstance(result.get("nextCursor"), str) and result["nextCursor"] != ""
    tools = document["tools"] if isinstance(document, dict) and "tools" in document else result["tools"]
    assert catalogue.taken_in == len(catalogue.apis) + len(catalogue.rejects) == len(tools) + more
    for api in catalogue.apis:
        jsonschema.Draft202012Validator.check_schema(json.loads(api.definition)["parameters"])


def mutated(document: Any, data: st.DataObject) -> Any:
    """The document with up to four of its values replaced by junk or removed."""
    document = json.loads(json.dumps(document))
    for _ in range(data.draw(st.integers(1, 4))):
        node = document
        while node:
            key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
            if isinstance(node[key], dict | list) and node[key] and data.draw(st.integers(0, 4)):
                node = node[key]
                continue
            if data.draw(st.booleans()):
                node[key] = data.draw(junk)
            else:
                del node[key]
            break
    return document
