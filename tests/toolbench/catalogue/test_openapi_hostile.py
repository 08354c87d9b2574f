"""Generated and mutated OpenAPI documents through `read`: only a SourceError ever comes out, and counts add up."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolbench import records, schemas
from toolbench.catalogue import Catalogue, Holdout, read
from toolbench.errors import SourceError

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
SMALL: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Harbour", "description": "Ports", "x-collections": ["sea"]},
    "servers": [{"url": "https://{r}.example.org/v1", "variables": {"r": {"default": "eu", "enum": ["eu"]}}}],
    "security": [{"key": []}, {}],
    "tags": [{"name": "ports"}],
    "paths": {
        "/ports/{port}": {
            "parameters": [{"$ref": "#/components/parameters/Port"}],
            "get": {
                "operationId": "getPort",
                "summary": "One port",
                "tags": ["ports"],
                "parameters": [
                    {"name": "unit", "in": "query", "schema": {"oneOf": [{"enum": ["km"]}, {"const": "nm"}]}},
                    {"name": "X-Trace", "in": "header", "schema": {"anyOf": [{"type": "null"}, {"type": "integer"}]}},
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/Port"},
                                "examples": {"a": {"value": {"name": "Oslo", "list": [1, 2]}}},
                            }
                        }
                    }
                },
            },
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Port"}}}}
            },
            "put": {
                "deprecated": True,
                "requestBody": {
                    "content": {
                        "multipart/form-data": {
                            "schema": {
                                "properties": {"f": {"type": "string", "format": "binary"}, "n": {"type": "integer"}}
                            }
                        }
                    }
                },
            },
        }
    },
    "components": {
        "parameters": {"Port": {"name": "port", "in": "path", "required": True, "schema": {"type": "string"}}},
        "securitySchemes": {"key": {"type": "apiKey", "name": "X-Harbour", "in": "header"}},
        "schemas": {
            "Port": {
                "allOf": [
                    {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string", "minLength": 1}},
                    },
                    {
                        "properties": {
                            "twin": {"$ref": "#/components/schemas/Port"},
                            "depth": {"type": ["null", "number"]},
                        }
                    },
                ]
            }
        },
    },
}
SWAGGER: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Old"},
    "host": "old.example.org",
    "basePath": "/v2",
    "schemes": ["https"],
    "consumes": ["application/json"],
    "securityDefinitions": {"k": {"type": "apiKey", "name": "code", "in": "query"}},
    "definitions": {"Pet": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
    "paths": {
        "/pets": {
            "post": {
                "security": [{"k": []}],
                "parameters": [
                    {"in": "body", "name": "pet", "schema": {"$ref": "#/definitions/Pet"}},
                    {"in": "query", "name": "size", "type": "integer", "default": 3, "enum": [1, 3]},
                ],
                "responses": {"200": {"schema": {"$ref": "#/definitions/Pet"}, "examples": {"application/json": {}}}},
            },
            "put": {
                "consumes": ["multipart/form-data"],
                "parameters": [
                    {"in": "formData", "name": "a", "type": "string", "required": True},
                    {"in": "formData", "name": "b", "type": "file"},
                ],
            },
        }
    },
}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for level in range(depth):
        schema = ({"properties": {"a": schema}}, {"allOf": [schema]}, {"items": schema})[level % 3]
    return schema


REFERENCES = [
    "", "#", "#/", "#x", "other.yml", "https://u:p@h/x#/y", "#/paths", "#/components/schemas/Port", "#/definitions/Pet",
    "#/paths/~1ports~1{port}/get", "#/paths/~1ports~1{port}", "#/components/parameters/Port", "#/info/title", "#/%FF",
]  # fmt: skip
ODD = [
    None, True, False, 0, -1, 1.5, 10**400, -(10**30), "", " ", "\ud800", "a\u202eb\0", "x" * 5000, [], {}, [[]],
    "null", "object", "array", "file", "body", "query", "application/json", "http://[", "{", "{}", "{a}{a}",
]  # fmt: skip
KEYS = [
    "$ref", "type", "allOf", "anyOf", "oneOf", "items", "properties", "required", "enum", "const", "name", "in",
    "schema", "content", "example", "examples", "default", "format", "minimum", "maxLength", "description",
    "parameters", "x",
]  # fmt: skip
references = st.builds(lambda r: {"$ref": r}, st.sampled_from(REFERENCES))
junk = st.recursive(
    st.sampled_from(ODD) | st.text(max_size=8) | st.floats() | references | st.builds(nested, st.integers(0, 60)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=6,
)
often = settings(max_examples=150, deadline=None)


def mutated(document: Any, data: st.DataObject) -> Any:
    """The document with up to four of its nodes replaced by junk, removed, or put where others are."""
    document = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 4))):
        node = document
        while isinstance(node, dict | list) and node:
            key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
            if isinstance(node[key], dict | list) and node[key] and data.draw(st.integers(0, 5)):
                node = node[key]
                continue
            act = data.draw(st.integers(0, 3))
            if act == 0:
                del node[key]
            elif act == 1 and isinstance(node, dict):
                node[data.draw(st.sampled_from(KEYS) | st.text(max_size=4))] = node[key]
            else:
                node[key] = data.draw(junk)
            break
    return document


def read_from_disk(document: Any) -> Catalogue | None:
    """The catalogue; None where reading says that there is nothing to read. Anything else it raises is a failure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        try:
            return read(str(path), holdout=Holdout())
        except SourceError:
            return None


def listed_operations(document: Any) -> int | None:
    """The operations that stand in the document; None if references make it a matter of following them."""
    paths = document.get("paths")
    items = [item for path, item in paths.items() if not path.startswith("x-")] if isinstance(paths, dict) else []
    if any(isinstance(item, dict) and "$ref" in item for item in items):
        return None
    return sum(sum(m in item for m in METHODS) if isinstance(item, dict) else 1 for item in items)


def holds(document: Any) -> Catalogue | None:
    """What is true of whatever is read; gives that back."""
    catalogue = read_from_disk(document)
    if catalogue is None:
        return None
    assert catalogue.taken_in == len(catalogue.apis) + len(catalogue.rejects)
    assert listed_operations(document) in (None, catalogue.taken_in)
    assert {a.tool_id for a in catalogue.apis} == {t.id for t in catalogue.tools}
    assert not [r for r in catalogue.rejects if r.reason == "invalid_definition"], "readers make valid schemas"
    for api in catalogue.apis:
        definition = json.loads(api.definition)
        jsonschema.Draft202012Validator.check_schema(definition["parameters"])
        jsonschema.Draft202012Validator.check_schema(json.loads(api.response_schema or "{}"))
        assert set(definition["parameters"]["properties"]) == {p.shown_as for p in api.parameters if not p.secret}
        assert len(api.response_example or "") <= 20_000
        assert {p.location for p in api.parameters} <= {
            "query",
            "path",
            "header",
            "cookie",
            "body",
            "form",
            "multipart",
        }
    for table, rows in (
        (records.Api, catalogue.apis),
        (records.Tool, catalogue.tools),
        (records.Reject, catalogue.rejects),
    ):
        assert schemas.to_table(table, rows).num_rows == len(rows)
    return catalogue


def test_the_documents_that_are_mutated_are_read_whole() -> None:
    for document, apis in ((SMALL, 3), (SWAGGER, 2)):
        catalogue = holds(document)
        assert catalogue is not None
        assert (len(catalogue.apis), catalogue.rejects) == (apis, [])
        assert listed_operations(document) == apis


@often
@given(st.data())
def test_mutated_openapi_3(data: st.DataObject) -> None:
    holds(mutated(SMALL, data))


@often
@given(st.data())
def test_mutated_swagger_2(data: st.DataObject) -> None:
    holds(mutated(SWAGGER, data))


@often
@given(junk, junk, st.dictionaries(st.sampled_from(["responses", "security", "tags", "servers", "operationId"]), junk))
def test_generated_operations(schema: Any, parameters: Any, rest: dict[str, Any]) -> None:
    item = {
        "get": {"parameters": [{"name": "q", "in": "query", "schema": schema, "example": parameters}], **rest},
        "post": {"requestBody": {"content": {"application/json": {"schema": schema, "example": parameters}}}, **rest},
        "put": {"requestBody": {"content": {"multipart/form-data": {"schema": {"properties": {"p": schema}}}}}},
        "patch": {"parameters": parameters, "responses": {"200": {"content": {"text/json": {"schema": schema}}}}},
    }
    paths = {"/a": item, "/ok": {"get": {}}}
    catalogue = holds({"openapi": "3.0.0", "info": {"title": "x"}, "components": rest, "paths": paths})
    assert catalogue is not None, "whatever one operation is like, the others are read"
    assert any(api.url.endswith("/ok") for api in catalogue.apis)


@pytest.mark.parametrize("depth", [50, 400])
def test_deep_documents(depth: int) -> None:
    document = copy.deepcopy(SMALL)
    document["components"]["schemas"]["Port"] = nested(depth // 2)
    value: Any = 1
    for _ in range(depth):
        value = [value]
    document["paths"]["/ports/{port}"]["get"]["responses"]["200"]["content"]["application/json"] = {"example": value}
    catalogue = holds(document)
    assert catalogue is not None
    assert [api.method for api in catalogue.apis] == ["GET", "POST", "PUT"]


def test_references_that_multiply() -> None:
    document = copy.deepcopy(SMALL)
    me = {"$ref": "#/components/schemas/Port"}
    document["components"]["schemas"]["Port"] = {
        "type": "object", "allOf": [me] * 50, "anyOf": [me] * 50, "properties": {f"p{i}": me for i in range(200)},
    }  # fmt: skip
    catalogue = holds(document)
    assert catalogue is not None
    assert [api.method for api in catalogue.apis] == ["GET", "POST", "PUT"]


def test_paths_that_refer_to_themselves() -> None:
    document = copy.deepcopy(SMALL)
    document["paths"] |= {
        "/me": {"$ref": "#/paths/~1me"},
        "/all": {"$ref": "#"},
        "/port": {"$ref": "#/paths/~1ports~1{port}"},
    }
    catalogue = read_from_disk(document)
    assert catalogue is not None
    assert len(catalogue.apis) == 6
    assert [r.reason for r in catalogue.rejects] == ["unresolved_reference"]
