"""Operations of OpenAPI and Swagger documents: what is a parameter, what a reject, what is said of the rest."""

import json
from pathlib import Path
from typing import Any

import pytest

from toolbench.catalogue import Catalogue, Holdout, read
from toolbench.records import Api

DEFAULTS = {"openapi": "3.0.3", "info": {"title": "Pier"}, "servers": [{"url": "https://pier.example.org"}]}


def catalogue_of(folder: Path, **document: Any) -> Catalogue:
    """The catalogue of a document, with what it needs to be one."""
    path = folder / "pier.json"
    defaults = {"info": DEFAULTS["info"]} if "swagger" in document else DEFAULTS
    path.write_text(json.dumps({**defaults, **document}), encoding="utf-8")
    catalogue = read(str(path), holdout=Holdout())
    assert catalogue.taken_in == len(catalogue.apis) + len(catalogue.rejects)
    return catalogue


def api_of(folder: Path, operation: dict[str, Any], *, method: str = "get", **document: Any) -> Api:
    """The one API of a document with one operation."""
    (api,) = catalogue_of(folder, paths={"/x": {method: operation}}, **document).apis
    return api


def rejected(folder: Path, operation: dict[str, Any], *, method: str = "post", **document: Any) -> tuple[str, str]:
    """(reason, detail) of the one operation that is rejected; a second one is there so that the document is read."""
    catalogue = catalogue_of(folder, paths={"/x": {method: operation}, "/ok": {"get": {}}}, **document)
    (row,) = catalogue.rejects
    assert [a.url for a in catalogue.apis] == ["https://pier.example.org/ok"]
    return row.reason, row.detail


def placed(api: Api) -> dict[str, tuple[str, bool]]:
    """Name on the wire → (location, required)."""
    return {p.name: (p.location, p.required) for p in api.parameters}


def body(media: str, schema: Any, *, required: bool = False) -> dict[str, Any]:
    return {"requestBody": {"required": required, "content": {media: {"schema": schema}}}}


QUERY = {"name": "q", "in": "query", "schema": {"type": "string"}}
ELSEWHERE = {"$ref": "https://me:hush@other.example.org/shared.yml#/Page"}


# ── What lies in another file ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("operation", "place"),
    [
        (ELSEWHERE, "/~1x/post refers"),
        ({"parameters": [QUERY, ELSEWHERE]}, "/~1x/post/parameters/1 refers"),
        ({"parameters": [{**QUERY, "schema": ELSEWHERE}]}, "/~1x/post/parameters/0/schema refers"),
        ({"parameters": [{**QUERY, "schema": {"anyOf": [ELSEWHERE]}}]}, "/~1x/post/parameters/0/schema refers"),
        ({"requestBody": ELSEWHERE}, "/~1x/post/requestBody refers"),
        (body("application/json", ELSEWHERE), "/requestBody/content/application~1json/schema refers"),
        (body("application/json", {"allOf": [{"type": "object"}, ELSEWHERE]}), "/application~1json/schema refers"),
        (body("application/json", {"properties": {"p": ELSEWHERE}}), "/schema/properties/p refers"),
    ],
)
def test_a_change_that_is_described_elsewhere_is_rejected(tmp_path: Path, operation: Any, place: str) -> None:
    reason, detail = rejected(tmp_path, operation)
    assert reason == "external_reference"
    assert place in detail
    assert "'https://other.example.org/shared.yml#/Page', another file" in detail
    assert "hush" not in detail


@pytest.mark.parametrize(
    "operation", [ELSEWHERE, {"parameters": [ELSEWHERE]}, {"parameters": [QUERY | {"schema": ELSEWHERE}]}]
)
def test_what_changes_nothing_is_imported_and_says_what_is_not_known(tmp_path: Path, operation: Any) -> None:
    api = api_of(tmp_path, {"summary": "Find", **operation})
    note = "Parameters may be missing: some are described in https://other.example.org/shared.yml#/Page."
    assert api.description == f"Find. {note}"
    assert note in json.loads(api.definition)["description"]


def test_a_path_item_elsewhere_is_one_reject(tmp_path: Path) -> None:
    paths = {"/x": {"$ref": "paths/x.yml"}, "/y": {"$ref": "paths/y.yml", "get": {}}, "/ok": {"get": {}}}
    catalogue = catalogue_of(tmp_path, paths=paths)
    assert len(catalogue.apis) == 1
    assert sorted(r.record_id for r in catalogue.rejects) == ["pier.json#/paths/~1x", "pier.json#/paths/~1y/get"]
    assert {r.reason for r in catalogue.rejects} == {"external_reference"}


def test_parameters_of_a_path_item_that_are_elsewhere_count_for_each_operation(tmp_path: Path) -> None:
    paths = {"/x": {"parameters": [{"$ref": "p.yml"}], "get": {}, "delete": {}}}
    catalogue = catalogue_of(tmp_path, paths=paths)
    assert "described in p.yml" in catalogue.apis[0].description
    (row,) = catalogue.rejects
    assert "/~1x/delete inherits /parameters/0 of its path item, which refers to 'p.yml', another file" in row.detail


def test_responses_elsewhere_are_left_open(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"page": ELSEWHERE, "name": {"type": "string"}}}
    api = api_of(tmp_path, {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}, method="post")
    assert json.loads(api.response_schema or "")["properties"] == {"page": {}, "name": {"type": "string"}}
    assert api.description == ""


@pytest.mark.parametrize("reference", ["#/components/schemas/None", "#Anchor", "", "#/paths/~1x/get/parameters/7"])
def test_a_reference_that_leads_nowhere_is_a_reject(tmp_path: Path, reference: str) -> None:
    for operation in ({"parameters": [{"$ref": reference}]}, body("application/json", {"$ref": reference})):
        reason, detail = rejected(tmp_path, operation, method="get")
        assert reason == "unresolved_reference"
        assert "which the document does not hold" in detail


# ── Bodies ──────────────────────────────────────────────────────────────────────────────────────────────────────────

FIELDS = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("media", "location"),
    [
        ("application/json", "body"), ("application/vnd.api+json; charset=utf-8", "body"), ("*/*", "body"),
        ("application/x-www-form-urlencoded", "form"), ("multipart/form-data", "multipart"),
    ],
)  # fmt: skip
def test_a_body_is_one_parameter_a_property(tmp_path: Path, media: str, location: str) -> None:
    api = api_of(tmp_path, body(media, FIELDS), method="post")
    assert placed(api) == {"a": (location, True), "b": (location, False)}


def test_json_is_preferred_to_forms(tmp_path: Path) -> None:
    content = {"multipart/form-data": {"schema": FIELDS}, "application/xml": {}, "text/json": {"schema": FIELDS}}
    api = api_of(tmp_path, {"requestBody": {"content": content}}, method="post")
    assert {p.location for p in api.parameters} == {"body"}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "string", "format": "binary"},
        {"type": "string", "format": "byte"},
        {"type": "array", "items": {"type": "string", "format": "binary"}},
        {"type": "string", "contentMediaType": "image/png"},
    ],
)
def test_files_are_left_out_and_told_unless_they_must_be_sent(tmp_path: Path, part: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"photo": part, "title": {"type": "string"}}}
    api = api_of(tmp_path, body("multipart/form-data", schema, required=True), method="post")
    assert placed(api) == {"title": ("multipart", False)}
    assert api.description == "Files cannot be sent: photo."
    for required in ({**schema, "required": ["photo"]}, {"type": "object", "properties": {"photo": part}}):
        reason, detail = rejected(tmp_path, body("multipart/form-data", required, required=True))
        assert reason == "unsupported_body"
        assert "cannot be sent" in detail


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (body("application/xml", FIELDS), "offers neither JSON nor a form: application/xml"),
        ({"requestBody": {"content": {}}}, "offers neither JSON nor a form: nothing"),
        (body("application/x-www-form-urlencoded", {}, required=True), "is a form of which no field is described"),
    ],
)
def test_bodies_that_cannot_be_sent(tmp_path: Path, operation: Any, why: str) -> None:
    reason, detail = rejected(tmp_path, operation)
    assert reason == "unsupported_body"
    assert why in detail


def test_a_body_without_properties_is_one_parameter(tmp_path: Path) -> None:
    (whole,) = api_of(tmp_path, body("application/json", {"type": "array", "items": FIELDS}), method="post").parameters
    assert (whole.name, whole.shown_as, whole.type, whole.location) == ("", "body", "array", "body")
    (unsaid,) = api_of(tmp_path, body("application/json", {}, required=True), method="post").parameters
    assert (unsaid.name, unsaid.type, unsaid.required) == ("", "object", True)
    assert api_of(tmp_path, body("application/json", {}), method="post").parameters == []


def test_swagger_2_forms(tmp_path: Path) -> None:
    def parameters(**operation: Any) -> dict[str, tuple[str, bool]]:
        document = {"swagger": "2.0", "host": "h.example.org", "consumes": ["multipart/form-data"]}
        return placed(api_of(tmp_path, operation, method="post", **document))

    field = {"name": "f", "in": "formData", "type": "string", "required": True}
    assert parameters(parameters=[field]) == {"f": ("multipart", True)}
    form = ["application/x-www-form-urlencoded"]
    assert parameters(parameters=[field], consumes=form) == {"f": ("form", True)}
    file = {"name": "g", "in": "formData", "type": "file"}
    assert parameters(parameters=[field, file], consumes=form) == {"f": ("multipart", True)}
    whole = {"name": "b", "in": "body", "schema": FIELDS, "required": True}
    assert parameters(parameters=[whole], consumes=[]) == {"a": ("body", True), "b": ("body", False)}


# ── Credentials ─────────────────────────────────────────────────────────────────────────────────────────────────────

SCHEMES = {
    "key": {"type": "apiKey", "in": "query", "name": "code"},
    "app": {"type": "apiKey", "in": "cookie", "name": "app"},
    "bearer": {"type": "http", "scheme": "Bearer"},
    "oauth": {"type": "oauth2", "flows": {}},
    "openid": {"type": "openIdConnect", "openIdConnectUrl": "https://x"},
    "digest": {"type": "http", "scheme": "digest"},
    "tls": {"type": "mutualTLS"},
    "nameless": {"type": "apiKey", "in": "query"},
}
AUTHORIZATION = {"Authorization": ("header", True)}


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        ([{"key": []}], {"code": ("query", True)}),
        ([{"key": [], "app": []}], {"code": ("query", True), "app": ("cookie", True)}),
        ([{"bearer": []}], AUTHORIZATION),
        ([{"oauth": ["read"]}], AUTHORIZATION),
        ([{"openid": []}], AUTHORIZATION),
        ([{"tls": []}, {"digest": []}, {"key": []}], {"code": ("query", True)}),
        ([{"tls": [], "bearer": []}, {"app": []}], {"app": ("cookie", True)}),
        ([{"nameless": []}, {"bearer": []}], AUTHORIZATION),
        ([{}, {"key": []}], {"code": ("query", False)}),
        ([{"key": []}, {}], {"code": ("query", False)}),
        ([{"forgotten": []}], AUTHORIZATION),
        ([{}], {}),
        ([], {}),
        ("key", {}),
        ([3, None], {}),
    ],
)
def test_credentials(tmp_path: Path, security: Any, expected: dict[str, tuple[str, bool]]) -> None:
    components = {"securitySchemes": SCHEMES}
    api = api_of(tmp_path, {"security": security, "parameters": [QUERY]}, components=components)
    assert placed(api) == {"q": ("query", False)} | expected
    assert {p.name for p in api.parameters if p.secret} == set(expected)
    assert list(json.loads(api.definition)["parameters"]["properties"]) == ["q"]


def test_an_operation_s_own_security_wins_and_a_header_has_no_case(tmp_path: Path) -> None:
    document: dict[str, Any] = {"components": {"securitySchemes": SCHEMES}, "security": [{"bearer": []}]}
    assert api_of(tmp_path, {"security": []}, **document).parameters == []
    header = {"name": "authorization", "in": "header", "schema": {"type": "string"}}
    assert placed(api_of(tmp_path, {"parameters": [header]}, **document)) == AUTHORIZATION


def test_headers_that_the_caller_sets_are_no_parameters(tmp_path: Path) -> None:
    headers = [{"name": n, "in": "header", "schema": {}} for n in ("Accept", "content-type", "X-Trace")]
    assert placed(api_of(tmp_path, {"parameters": headers})) == {"X-Trace": ("header", False)}


# ── The rest of an operation ────────────────────────────────────────────────────────────────────────────────────────


def test_deprecation_and_tags(tmp_path: Path) -> None:
    tags = ["<b>Ships</b> &amp; boats", "Ships & boats", 7, " ", *(f"t{i}" for i in range(20))]
    api = api_of(tmp_path, {"deprecated": True, "tags": tags})
    assert api.deprecated is True
    assert api.tags == ["Ships & boats", *(f"t{i}" for i in range(9))]
    plainest = api_of(tmp_path, {"deprecated": "no", "tags": "x"})
    assert (plainest.deprecated, plainest.tags) == (False, [])


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ({"url": "https://{r}.x.org", "variables": {"r": {"default": "eu", "enum": ["us"]}}}, "https://eu.x.org/x"),
        ({"url": "https://{r}.x.org", "variables": {"r": {"enum": ["us", "eu"]}}}, "https://us.x.org/x"),
        ({"url": "https://x.org:{p}", "variables": {"p": {"default": 8443}}}, "https://x.org:8443/x"),
        ({"url": "https://{r}.x.org", "variables": {"r": {}}}, "https://{r}.x.org/x"),
        ({"url": "//x.org/v1/"}, "https://x.org/v1/x"),
        ({"url": "v1"}, "v1/x"),
        ({"url": "/"}, "/x"),
        ({"url": 5}, "/x"),
    ],
)
def test_servers(tmp_path: Path, server: dict[str, Any], url: str) -> None:
    assert api_of(tmp_path, {}, servers=[server]).url == url


def test_the_server_nearest_to_the_operation_wins(tmp_path: Path) -> None:
    def at(host: str) -> dict[str, Any]:
        return {"servers": [{"url": f"https://{host}.org"}]}

    paths = {"/a": {"get": at("own"), "put": {}, **at("path")}, "/b": {"get": {}}}
    urls = {(a.method, a.url) for a in catalogue_of(tmp_path, paths=paths, **at("all")).apis}
    assert urls == {("GET", "https://own.org/a"), ("PUT", "https://path.org/a"), ("GET", "https://all.org/b")}


def test_swagger_2_prefers_https(tmp_path: Path) -> None:
    document = {"swagger": "2.0", "host": "h.org", "basePath": "/v1"}
    assert api_of(tmp_path, {}, schemes=["http", "https"], **document).url == "https://h.org/v1/x"
    assert api_of(tmp_path, {}, schemes=["http"], **document).url == "http://h.org/v1/x"


# ── Responses ───────────────────────────────────────────────────────────────────────────────────────────────────────


def answering(schema: Any = None, **media: Any) -> dict[str, Any]:
    return {"responses": {"200": {"content": {"application/json": {"schema": schema, **media}}}}}


def test_a_response_schema_that_is_too_long_loses_its_depth(tmp_path: Path) -> None:
    node: dict[str, Any] = {"type": "string", "description": "d" * 119}
    for width in (30, 10, 10):
        node = {"type": "object", "properties": {f"p{i}": node for i in range(width)}}
    api = api_of(tmp_path, answering(node))
    assert 1000 < len(api.response_schema or "") <= 20_000
    top = json.loads(api.response_schema or "")["properties"]["p0"]
    assert top == {"type": "object", "properties": {f"p{i}": {"type": "object"} for i in range(10)}}


def test_a_response_example_that_is_too_long_loses_items_then_depth(tmp_path: Path) -> None:
    items = [{"n": i, "t": "x" * 100} for i in range(1000)]
    api = api_of(tmp_path, answering(example={"items": items, "total": 1000}))
    assert json.loads(api.response_example or "") == {"items": items[:10], "total": 1000}
    nested = {"keys": {str(i): "x" * 100 for i in range(1000)}, "name": "Oslo"}
    api = api_of(tmp_path, answering(example=nested))
    assert json.loads(api.response_example or "") == {"keys": {}, "name": "Oslo"}
    assert api_of(tmp_path, answering(example="x" * 30_000)).response_example is None
