"""Postman collections: every part of a request, what is refused, and that no credential gets into a record."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolbench.catalogue import Catalogue, Holdout, read
from toolbench.catalogue.postman_values import Secrets, Variables, shape
from toolbench.errors import UsageError
from toolbench.records import Api

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def collection(*items: Any, **more: Any) -> dict[str, Any]:
    return {
        "info": {"name": "Shop", "schema": SCHEMA, "description": {"content": "<p>Sells</p>"}},
        "item": items,
    } | more


def catalogue_of(folder: Path, document: Any, category: str | None = "Other") -> Catalogue:
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "shop.postman_collection.json").write_text(text, encoding="utf-8")
    return read(str(folder / "shop.postman_collection.json"), category=category, holdout=Holdout())


def api_of(folder: Path, request: Any, **more: Any) -> Api:
    (api,) = catalogue_of(folder, collection({"name": "One", "request": request}, **more)).apis
    return api


def reject_of(folder: Path, request: Any, **more: Any) -> Any:
    good = {"name": "Good", "request": "https://a.example/good"}
    catalogue = catalogue_of(folder, collection({"name": "One", "request": request}, good, **more))
    assert [a.name for a in catalogue.apis] == ["Good"]
    (row,) = catalogue.rejects
    return row


def shown(api: Api) -> dict[str, tuple[str, str, bool, str | None]]:
    return {p.name: (p.location, p.type, p.required, p.default) for p in api.parameters}


def real_shape() -> dict[str, Any]:
    """A collection of format 2.1 with folders, variables, inherited auth, every kind of body and saved answers."""
    users = {
        "name": "Users",
        "description": "People",
        "item": [
            {
                "name": "List",
                "event": [{"listen": "test", "script": {"exec": ["while (true) {}"]}}],
                "request": {
                    "method": "GET",
                    "description": "All of them",
                    "header": [
                        {"key": "Accept", "value": "application/json"},
                        {"key": "X-Tenant", "value": "acme", "description": "Whose"},
                        {"key": "X-Api-Key", "value": "sesame-in-a-header"},
                        {"key": "", "value": ""},
                    ],
                    "url": {
                        "raw": "{{baseUrl}}/v1/:org/users/{{userId}}?page=2&q=&token=sesame-in-a-query#top",
                        "host": ["{{baseUrl}}"],
                        "query": [
                            {"key": "page", "value": "2", "description": "(Required) Which page"},
                            {"key": "size", "value": "<integer>", "disabled": True},
                            {"key": "token", "value": "sesame-in-a-query"},
                            {"key": "sort", "value": "{{unknown}}"},
                        ],
                        "variable": [{"key": "org", "value": "north", "description": "The organisation"}],
                    },
                },
                "response": [
                    {"code": 500, "body": "{}"},
                    {"code": 200, "body": '{"users": [{"name": "Ada"}], "access_token": "sesame-in-an-answer"}'},
                ],
            },
            {
                "name": "Create",
                "request": {
                    "auth": {"type": "noauth"},
                    "method": "POST",
                    "url": "{{baseUrl}}/v1/users",
                    "body": {
                        "mode": "raw",
                        "raw": '{\n// who\n"name": "Ada", "age": 36, "tags": ["a"], '
                        '"id": {{userId}}, "key": "{{apiKey}}",\n'
                        '"address": {"city": "Oslo", "secret": "sesame-in-a-body"}, "none": null}',
                        "options": {"raw": {"language": "json"}},
                    },
                },
            },
        ],
    }
    orders = {
        "name": "Orders",
        "auth": {"type": "apikey", "apikey": [
            {"key": "key", "value": "X-Shop"}, {"key": "value", "value": "sesame-in-auth"},
            {"key": "in", "value": "query"},
        ]},
        "item": [
            {"name": "List", "request": "{{baseUrl}}/orders"},
            {"name": "Pay", "request": {"method": "POST", "url": "{{baseUrl}}/pay", "body": {
                "mode": "urlencoded",
                "urlencoded": [{"key": "amount", "value": "5"}, {"key": "client_secret", "value": "sesame-in-a-form"}],
            }}},
            {"name": "Upload", "request": {"method": "POST", "url": "{{baseUrl}}/up", "body": {
                "mode": "formdata",
                "formdata": [{"key": "f", "type": "file", "src": "/etc/passwd"}, {"key": "title", "value": "Cat"}],
            }}},
        ],
    }  # fmt: skip
    return collection(
        users,
        orders,
        auth={"type": "bearer", "bearer": [{"key": "token", "value": "sesame-in-bearer"}]},
        variable=[
            {"key": "baseUrl", "value": "https://{{host}}"},
            {"key": "host", "value": "shop.example"},
            {"key": "apiKey", "value": "sesame-in-a-variable"},
            {"key": "hush", "value": "sesame-marked-secret", "type": "secret"},
        ],
    )


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_collection_is_a_tool_and_each_request_an_api(wrapped: bool, tmp_path: Path) -> None:
    document = real_shape()
    catalogue = catalogue_of(tmp_path, {"collection": document} if wrapped else document)
    (tool,) = catalogue.tools
    assert (tool.name, tool.description, tool.base_url, tool.origin) == (
        "Shop",
        "Sells",
        "https://shop.example",
        "postman",
    )
    assert catalogue.rejects == []
    found = {a.name: a for a in catalogue.apis}
    assert set(found) == {"Users List", "Create", "Orders List", "Pay", "Upload"}
    listed = found["Users List"]
    assert listed.url == "https://shop.example/v1/{org}/users/{userId}"
    assert (listed.method, listed.description, listed.tags) == ("GET", "All of them", ["Users"])
    assert shown(listed) == {
        "org": ("path", "string", True, '"north"'),
        "userId": ("path", "string", True, None),
        "page": ("query", "string", True, '"2"'),
        "size": ("query", "integer", False, None),
        "token": ("query", "string", False, None),
        "sort": ("query", "string", False, None),
        "q": ("query", "string", False, None),
        "X-Tenant": ("header", "string", False, '"acme"'),
        "X-Api-Key": ("header", "string", False, None),
        "Authorization": ("header", "string", True, None),
    }
    assert {p.name for p in listed.parameters if p.secret} == {"token", "X-Api-Key", "Authorization"}
    assert [p.description for p in listed.parameters if p.name in ("org", "page")] == ["The organisation", "Which page"]
    assert json.loads(listed.response_example or "") == {"users": [{"name": "Ada"}], "access_token": ""}
    for api in catalogue.apis:
        jsonschema.Draft202012Validator.check_schema(json.loads(api.definition)["parameters"])


def test_bodies_become_parameters(tmp_path: Path) -> None:
    found = {a.name: a for a in catalogue_of(tmp_path, real_shape()).apis}
    assert shown(found["Create"]) == {
        "name": ("body", "string", False, '"Ada"'),
        "age": ("body", "integer", False, "36"),
        "tags": ("body", "array", False, '["a"]'),
        "id": ("body", "string", False, None),
        "key": ("body", "string", False, None),
        "address": ("body", "object", False, '{"city": "Oslo", "secret": ""}'),
        "none": ("body", "string", False, None),
    }
    assert [p.name for p in found["Create"].parameters if p.secret] == ["key"]
    assert shown(found["Pay"]) == {
        "amount": ("form", "string", False, '"5"'),
        "client_secret": ("form", "string", False, None),
        "X-Shop": ("query", "string", True, None),
    }
    assert shown(found["Upload"]) == {
        "title": ("multipart", "string", False, '"Cat"'),
        "X-Shop": ("query", "string", True, None),
    }


def test_no_credential_of_a_collection_is_in_any_record(tmp_path: Path) -> None:
    document = real_shape()
    document["item"] += (
        {"name": "Echo", "request": "https://a.example/x?q=sesame-in-bearer", "response": [
            {"code": 200, "body": '{"you sent": "Bearer sesame-in-bearer"}'}]},
        {"name": "In the path", "request": "https://a.example/bot/sesame-in-bearer/me"},
        {"name": "Broken", "request": {"url": "https://u:sesame-in-a-url@a.example/?a=sesame-in-a-url", "method": 7}},
        {"name": "User", "request": "https://u:sesame-in-a-url@a.example/?a=sesame-in-a-url&api_key=sesame-as-well"},
        {"name": "Variable", "request": "https://a.example/{{hush}}/?q={{hush}}&v={{apiKey}}"},
        {"name": "Cookie", "request": {"url": "https://a.example", "header": "Cookie: s=sesame-in-a-cookie\nX-A: b"}},
        {"name": "Old", "auth": {"type": "basic", "basic": {"username": "sesame-user", "password": "sesame-word"}},
         "request": {"url": "https://a.example/", "auth": {"type": "basic", "basic": {"password": "sesame-word"}},
                     "body": {"mode": "raw", "raw": '["sesame-word"]'}}},
    )  # fmt: skip
    catalogue = catalogue_of(tmp_path, document)
    assert "sesame" not in repr(catalogue)
    assert sorted(r.reason for r in catalogue.rejects) == ["secret_in_url", "unknown_method"]
    found = {a.name: a for a in catalogue.apis}
    assert found["Variable"].url == "https://a.example/{hush}/"
    assert {p.name for p in found["Variable"].parameters if p.secret} == {"hush", "q", "v", "Authorization"}
    assert {p.name for p in found["Cookie"].parameters if p.secret} == {"Cookie", "Authorization"}
    assert found["User"].url == "https://a.example/"


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({"type": "noauth"}, {}),
        ({"type": "bearer"}, {"Authorization": "header"}),
        ({"type": "basic", "basic": {"username": "u"}}, {"Authorization": "header"}),
        ({"type": "oauth2", "oauth2": [{"key": "addTokenTo", "value": "queryParams"}]}, {"access_token": "query"}),
        ({"type": "apikey", "apikey": {"key": "X-K", "value": "v"}}, {"X-K": "header"}),
        ({"type": "apikey", "apikey": {"key": "a b\r\nX: y", "value": "v"}}, {"Authorization": "header"}),
        ({"type": "apikey", "apikey": {"key": "{{no}}", "in": "query"}}, {"Authorization": "query"}),
        ("bearer", {}),
        (None, {"Authorization": "header"}),
    ],
)
def test_auth_becomes_a_secret_parameter(auth: Any, expected: dict[str, str], tmp_path: Path) -> None:
    inherited = {"type": "digest", "digest": []}
    api = api_of(tmp_path, {"url": "https://a.example/x", "auth": auth}, auth=inherited)
    assert {p.name: p.location for p in api.parameters if p.secret} == expected
    assert json.loads(api.definition)["parameters"]["properties"] == {}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("a.example/x", "http://a.example/x"),
        ("https://a.example", "https://a.example"),
        ({"protocol": "https", "host": ["a", "example"], "port": "8443", "path": ["v1", ":id"]}, "/{id}"),
        ({"host": "a.example", "path": [{"type": "string", "value": "x"}]}, "http://a.example/x"),
        ("https://a.example/x/{{$guid}}.json", "https://a.example/x/{guid}.json"),
        ("https://a.example/m:run/a b\n", "https://a.example/m:run/a%20b"),
    ],
)
def test_urls_of_every_shape(url: Any, expected: str, tmp_path: Path) -> None:
    assert api_of(tmp_path, {"url": url}).url.endswith(expected)


@pytest.mark.parametrize(
    ("request_", "reason", "said"),
    [
        (7, "wrong_type", "#/item/0/request must be"),
        ("{{baseUrl}}/x", "unresolved_variable", "needs the variable 'baseUrl', which has no value"),
        ("https://{{region}}.a.example/x", "unresolved_variable", "'region'"),
        ("{{circle}}/x", "unresolved_variable", "'circle"),
        ("ws://a.example", "unsupported_scheme", "#/item/0/request/url is no http"),
        ("https:///x", "invalid_url", "names no host"),
        ({"url": {}}, "empty_url", "#/item/0/request/url is missing"),
        ({"url": 5}, "empty_url", "is missing or empty"),
        ({"url": "https://a.example", "method": "FLY"}, "unknown_method", "#/item/0/request/method"),
        ({"url": {"raw": "https://a.example", "query": {}}}, "wrong_type", "#/item/0/request/url/query"),
        ({"url": "https://a.example", "header": 5}, "wrong_type", "#/item/0/request/header"),
        ({"url": "https://a.example", "header": [{"key": "X: y\r\nZ"}]}, "wrong_type", "/request/header/0/key"),
        ({"url": "https://a.example", "body": []}, "wrong_type", "#/item/0/request/body"),
        ({"url": "https://a.example", "body": {"mode": "raw", "raw": 5}}, "wrong_type", "/request/body/raw"),
        ({"url": "https://a.example", "body": {"mode": "raw", "raw": "<a/>"}}, "unsupported_body", "/body/raw is text"),
        ({"url": "https://a.example", "body": {"mode": "file", "file": {}}}, "unsupported_body", "/request/body is"),
        ({"url": "https://a.example", "body": {"mode": "file"}}, "unsupported_body", "/request/body is"),
        ({"url": "https://a.example", "body": {"mode": ["raw"]}}, "unsupported_body", "/request/body is"),
        ({"url": "https://a.example", "body": {"mode": "graphql", "graphql": {}}}, "unsupported_body", "neither JSON"),
        ({"url": "https://a.example", "body": {"mode": "urlencoded", "urlencoded": 5}}, "wrong_type", "/urlencoded"),
        (
            {"url": "https://a.example", "body": {"mode": "formdata", "formdata": [{"key": "f", "type": "file"}]}},
            "unsupported_body",
            "holds files only",
        ),
        (
            {
                "url": "https://a.example",
                "body": {"mode": "raw", "raw": '{\n"a": oops}', "options": {"raw": {"language": "json"}}},
            },
            "invalid_json",
            "#/item/0/request/body/raw is not JSON at line 2 column 6",
        ),
        (
            {"url": "https://a.example", "body": {"mode": "raw", "raw": "[" * 100_000}},
            "too_deep",
            "is nested too deeply",
        ),
    ],
)
def test_a_request_that_cannot_be_used_is_rejected_with_its_pointer(
    request_: Any, reason: str, said: str, tmp_path: Path
) -> None:
    circle = [{"key": "circle", "value": "{{elcric}}{{elcric}}"}, {"key": "elcric", "value": "{{circle}}{{circle}}"}]
    row = reject_of(tmp_path, request_, variable=circle)
    assert row.reason == reason
    assert said in row.detail


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"mode": "raw", "raw": "[1, 2]"}, {"": ("body", "array", True, "[1, 2]")}),
        ({"mode": "raw", "raw": "{}"}, {"": ("body", "object", True, None)}),
        ({"mode": "raw", "raw": "  "}, {}),
        ({"mode": "raw", "raw": '{"a": 1e999, "b": "\\ud800"}'}, {"a": ("body", "string", False, '"1e999"')}),
        ({"mode": "raw", "raw": '{"a": 1}', "disabled": True}, {}),
        ({"mode": "raw"}, {}),
        (None, {}),
    ],
)
def test_bodies_that_are_no_objects(body: Any, expected: Any, tmp_path: Path) -> None:
    api = api_of(tmp_path, {"method": "POST", "url": "https://a.example", "body": body})
    assert shown(api).items() >= expected.items()
    assert bool(shown(api)) == bool(expected)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (collection(), "holds no request"),
        (collection({"name": "empty", "item": []}), "holds no request"),
        ({"info": {"name": "x", "schema": SCHEMA}}, "#/item must be a list"),
        ({"id": "1", "name": "x", "order": [], "requests": []}, "format 1: export it as Collection v2.1"),
        (collection({"name": "x", "item": 5}), "#/item/0/item must be a list"),
        (collection(7), "#/item/0 is no object"),
    ],
)
def test_a_collection_with_nothing_to_call_is_the_users_error(document: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        catalogue_of(tmp_path, document)
    assert expected in str(raised.value)


def test_folders_beyond_all_measure_are_refused(tmp_path: Path) -> None:
    text = json.dumps(collection("HERE")).replace('"HERE"', '{"item": [' * 100_000 + "]}" * 100_000)
    with pytest.raises(UsageError, match="nested too deeply"):
        catalogue_of(tmp_path, text)
    item: dict[str, Any] = {"name": "far", "request": "https://a.example/far"}
    for _ in range(40):
        item = {"name": "f", "item": [item]}
    catalogue = catalogue_of(tmp_path, collection(item, {"name": "near", "request": "https://a.example/near"}))
    assert [a.name for a in catalogue.apis] == ["near"]
    assert [r.reason for r in catalogue.rejects] == ["too_deep"]


def test_values_that_would_split_a_header_are_no_examples(tmp_path: Path) -> None:
    header = [{"key": "X-A", "value": "b\r\nX-Evil: 1"}, {"key": "X-B", "value": "fine"}]
    api = api_of(tmp_path, {"url": "https://a.example", "header": header})
    assert shown(api) == {"X-A": ("header", "string", False, None), "X-B": ("header", "string", False, '"fine"')}


def test_what_stands_in_for_an_example_is_none(tmp_path: Path) -> None:
    query = [{"key": "a", "value": "<string>,<string>"}, {"key": "b", "value": "<long>"}, {"key": "c", "value": "<b>"}]
    body = {"mode": "raw", "raw": '{"n": "<double>", "s": {"t": "<dateTime>"}}'}
    api = api_of(tmp_path, {"method": "PUT", "url": {"raw": "https://a.example", "query": query}, "body": body})
    assert shown(api) == {
        "a": ("query", "string", False, None),
        "b": ("query", "integer", False, None),
        "c": ("query", "string", False, '"<b>"'),
        "n": ("body", "number", False, None),
        "s": ("body", "object", False, None),
    }


def test_variables_that_multiply_stay_small() -> None:
    listed = [{"key": f"v{i}", "value": f"{{{{v{i + 1}}}}}" * 300} for i in range(12)]
    assert len(Variables([*listed, {"key": "v12", "value": "x" * 4000}]).fill("{{v0}}" * 1000)) < 3 << 20


def test_inner_variables_win_and_leave_the_outer_ones_alone() -> None:
    outer = Variables(
        [{"key": "a", "value": "1"}, {"key": "n", "value": 5}, {"key": "off", "value": "x", "disabled": True}]
    )
    inner = Variables([{"key": "a", "value": True}], outer)
    assert (outer.fill("{{a}}{{ n }}{{off}}"), inner.fill("{{a}}{{n}}")) == ("15{{off}}", "true5")


def test_a_collection_with_more_credentials_than_can_be_compared_gives_no_examples() -> None:
    many = Secrets([{"key": "token", "value": f"sesame-{i}"} for i in range(3000)])
    assert many.clean("anything", 99) is None


def test_shapes_of_examples_are_bounded_and_valid() -> None:
    deep: Any = 1
    for _ in range(30):
        deep = {"a": [deep, 2.5, None, True]}
    found = shape(deep)
    jsonschema.Draft202012Validator.check_schema(found)
    assert json.dumps(found).count("properties") <= 3


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from(["{{baseUrl}}", "{{x}}", "raw", "file", "https://a.example/:b", "apikey"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["key", "value", "item", "request", "url", "raw", "mode", "type"]), inner)
    ),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_collections_are_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    document = mutated(real_shape(), data)
    try:
        catalogue = catalogue_of(tmp_path, document)
    except UsageError:
        return
    assert catalogue.taken_in == len(catalogue.apis) + len(catalogue.rejects) == entries(document["item"])
    for api in catalogue.apis:
        jsonschema.Draft202012Validator.check_schema(json.loads(api.definition)["parameters"])
        assert api.url.startswith(("http://", "https://"))


def entries(items: list[Any]) -> int:
    """Entries of a collection that are no readable folders."""
    folders = [i["item"] for i in items if isinstance(i, dict) and isinstance(i.get("item"), list)]
    return len(items) - len(folders) + sum(entries(f) for f in folders)


def mutated(document: Any, data: st.DataObject) -> Any:
    """The document with up to six of its values replaced by junk or removed."""
    document = json.loads(json.dumps(document))
    for _ in range(data.draw(st.integers(1, 6))):
        node = document
        while node:
            key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
            if isinstance(node[key], dict | list) and node[key] and data.draw(st.integers(0, 6)):
                node = node[key]
                continue
            if data.draw(st.booleans()):
                node[key] = data.draw(junk)
            else:
                del node[key]
            break
    return document
