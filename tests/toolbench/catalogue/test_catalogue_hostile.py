"""Untrusted documents: whatever is in them, reading ends without an exception and the counts add up."""

import copy
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolbench import records, schemas
from toolbench.catalogue import Holdout, apis_of_instructions
from toolbench.catalogue.assemble import Catalogue, assemble
from toolbench.catalogue.drafts import Broken, Reading, reject
from toolbench.catalogue.parameters import is_credential, typed
from toolbench.catalogue.reading import _reading
from toolbench.catalogue.sources import Raw
from toolbench.catalogue.text import clip, plain

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["", "#/paths", "#/components"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$ref", "type", "allOf", "properties", "name", "in", "enum", "x"]), inner)
    ),
    max_leaves=6,
)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mutated(document: Any, data: st.DataObject) -> Any:
    """The document with up to four of its values replaced by junk or removed."""
    document = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 4))):
        node = document
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and node[key] and data.draw(st.integers(0, 4)):
                node = node[key]
                continue
            if data.draw(st.booleans()):
                node[key] = data.draw(junk)
            else:
                del node[key]
            break
    return document


def catalogue_of(document: Any, locator: str = "tools/Weather/x.json") -> Catalogue:
    raw = Raw(locator, "Weather", json.dumps(document).encode())
    try:
        reading = _reading(raw, None)
    except Broken as broken:
        reading = Reading(rejects=[reject(broken, locator, "", "Weather", None)])
    catalogue = assemble([reading], categories=None, holdout=Holdout(tool_share=0.5))
    assert catalogue.taken_in == len(catalogue.apis) + len(catalogue.rejects)
    assert len({a.id for a in catalogue.apis}) == len(catalogue.apis)
    for api in catalogue.apis:
        jsonschema.Draft202012Validator.check_schema(json.loads(api.definition)["parameters"])
    schemas.to_table(records.Api, catalogue.apis)
    schemas.to_table(records.Tool, catalogue.tools)
    schemas.to_table(records.Reject, catalogue.rejects)
    return catalogue


@quick
@given(st.data())
def test_mutated_toolenv_documents(tool_document: dict[str, Any], data: st.DataObject) -> None:
    document = mutated(tool_document, data)
    catalogue = catalogue_of(document)
    listed = document.get("api_list")
    if catalogue.tools:
        assert catalogue.taken_in == len(listed)


@quick
@given(st.data())
def test_mutated_openapi_documents(openapi_document: dict[str, Any], data: st.DataObject) -> None:
    catalogue = catalogue_of(mutated(openapi_document, data))
    assert {a.tool_id for a in catalogue.apis} == {t.id for t in catalogue.tools}


@quick
@given(st.lists(junk | st.fixed_dictionaries({"api_list": st.lists(junk, max_size=3)}), max_size=4))
def test_junk_instructions(entries: list[Any]) -> None:
    catalogue = apis_of_instructions(entries)
    assert catalogue.taken_in == len(catalogue.apis) + len(catalogue.rejects)


@quick
@given(st.binary(max_size=60), st.sampled_from(["x.json", "x.yaml"]))
def test_random_bytes_are_rejected(raw: bytes, locator: str) -> None:
    with pytest.raises(Broken):
        _reading(Raw(locator, "", raw), None)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"openapi": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"openapi": "3.0.0", "x": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
    ],
)
def test_parser_bombs(raw: bytes) -> None:
    with pytest.raises(Broken):
        _reading(Raw("x.json", "", raw), None)


def test_yaml_alias_bomb() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]" for i in range(1, 9)]
    with pytest.raises(Broken, match="too_large"):
        _reading(Raw("x.yaml", "", "\n".join(lines).encode()), None)


def test_references_that_multiply_are_bounded(openapi_document: dict[str, Any]) -> None:
    me = {"$ref": "#/components/schemas/Port"}
    many = {"type": "object", "allOf": [me] * 50, "properties": {f"p{i}": me for i in range(500)}}
    openapi_document["components"]["schemas"]["Port"] = many
    for api in catalogue_of(openapi_document).apis:
        assert len(api.response_schema or "") <= 20_000


def test_half_surrogates_and_impossible_numbers(tool_document: dict[str, Any]) -> None:
    tool_document["api_list"][0]["description"] = "half \ud800 pair"
    tool_document["api_list"][0]["body"] = {"n": float("nan"), "i": float("inf")}
    catalogue = catalogue_of(tool_document)
    assert json.loads(catalogue.apis[0].response_example or "") == {"n": "NaN", "i": "Infinity"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("apikey", True), ("API_KEY", True), ("X-RapidAPI-Key", True), ("token", True), ("accessToken", True),
        ("Authorization", True), ("client_secret", True), ("x-api-key", True),
        ("key", False), ("next_page_token", False), ("keyword", False), ("secretary", False), ("tokens", False),
    ],
)  # fmt: skip
def test_credentials_by_name(name: str, expected: bool) -> None:
    assert is_credential(name) is expected


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("10", "number", 10), ("1.5", "number", 1.5), ("1.5", "integer", None), ("ten", "number", None),
        (True, "number", None), ("nan", "number", None), ("False", "boolean", False), ("maybe", "boolean", None),
        ("a, b", "array", ["a", "b"]), ('["a"]', "array", ["a"]), ("{", "object", None),
        ('{"a": 1}', "object", {"a": 1}),
        (7, "string", "7"), ("", "string", None), (None, "string", None),
    ],
)  # fmt: skip
def test_typed_examples(value: Any, kind: str, expected: Any) -> None:
    found = typed(value, kind)
    assert found == expected
    assert type(found) is type(expected)


def test_text_is_cleaned_and_cut_between_words() -> None:
    assert (
        plain("<p>Fish &amp; chips</p>\n\n<script>alert(1)</script> at /users/<name>")
        == "Fish & chips at /users/<name>"
    )
    assert clip("one two three", 9) == "one two"
    assert clip("x" * 20, 9) == "x" * 9
    assert clip("short", 9) == "short"
