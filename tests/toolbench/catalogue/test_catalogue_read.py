"""`read` on small sources: what comes out of a document, and what a user is told."""

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from toolbench.catalogue import Catalogue, Holdout, Lookup, apis_of_instructions, read
from toolbench.errors import SourceError, UsageError

NONE = Holdout()


def write(path: Path, document: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return str(path)


def adds_up(catalogue: Catalogue) -> bool:
    return catalogue.taken_in == len(catalogue.apis) + len(catalogue.rejects)


def test_toolenv_document(tmp_path: Path, tool_document: dict[str, Any]) -> None:
    write(tmp_path / "tools" / "Weather" / "sky_watch.json", tool_document)
    catalogue = read(str(tmp_path), holdout=NONE)
    (tool,) = catalogue.tools
    assert (tool.id, tool.base_url, tool.description) == (
        "Weather/sky_watch",
        "https://sky.example.org",
        "Forecasts & alerts for sailors",
    )
    forecast, report = catalogue.apis
    assert forecast.id == "Weather/sky_watch/forecast"
    assert forecast.function == "forecast_for_sky_watch"
    assert forecast.description == "The forecast of a city. Up to 5 days"
    assert json.loads(forecast.response_example or "") == {"wind": 3}
    assert json.loads(forecast.response_schema or "")["type"] == "object"
    by_name = {p.name: p for p in forecast.parameters}
    assert by_name["City"].location == "path"
    assert {n for n, p in by_name.items() if p.secret} == {"apikey", "who"}
    parameters = json.loads(forecast.definition)["parameters"]
    assert parameters["required"] == ["city", "days"]
    assert parameters["properties"] == {
        "city": {"type": "string", "examples": ["Oslo"]},
        "days": {"type": "number", "description": "How many", "examples": [3]},
        "metric": {"type": "boolean", "examples": [True]},
        "fields": {"type": "array", "items": {"type": "string"}, "examples": [["wind", "rain"]]},
        "odd": {"type": "string"},
    }
    sent = {p.shown_as: (p.type, p.location) for p in report.parameters}
    assert sent == {"is_from": ("string", "body"), "filter": ("object", "body")}


def test_openapi_document(tmp_path: Path, openapi_document: dict[str, Any]) -> None:
    catalogue = read(write(tmp_path / "harbour.json", openapi_document), holdout=NONE)
    (tool,) = catalogue.tools
    assert (tool.id, tool.collections) == ("Travel/harbour", ["north", "sea"])
    get, post = catalogue.apis
    assert (get.name, get.url) == ("get_Port_By_Name", "https://eu.example.org/v1/ports/{port}")
    assert get.description == "One port. Everything known about it."
    properties = json.loads(get.definition)["parameters"]["properties"]
    assert properties["unit"]["enum"] == ["km", "nm"]
    assert properties["x_trace"]["type"] == "integer"
    assert "x_harbour" not in properties
    assert [(p.name, p.location) for p in get.parameters if p.secret] == [("X-Harbour", "header")]
    assert json.loads(get.response_example or "") == {"name": "Oslo"}
    assert "twin" in json.loads(get.response_schema or "")["properties"]
    body = {p.name: (p.required, p.type) for p in post.parameters if p.location == "body"}
    assert body == {"name": (True, "string"), "twin": (False, "object"), "depth": (False, "number")}


def test_a_broken_operation_is_rejected_and_the_rest_read(tmp_path: Path, openapi_document: dict[str, Any]) -> None:
    openapi_document["paths"]["/ports/{port}"]["get"]["parameters"] = [{"in": "query"}]
    catalogue = read(write(tmp_path / "harbour.json", openapi_document), holdout=NONE)
    assert [a.method for a in catalogue.apis] == ["POST"]
    (row,) = catalogue.rejects
    assert row.reason == "empty_name"
    assert row.detail.startswith("harbour.json#/paths/~1ports~1{port}/get/parameters/0/name")
    assert adds_up(catalogue)


def test_swagger_2(tmp_path: Path) -> None:
    document = {
        "swagger": "2.0",
        "info": {"title": "Old"},
        "host": "old.example.org",
        "basePath": "/v2",
        "schemes": ["https"],
        "securityDefinitions": {"k": {"type": "apiKey", "name": "code", "in": "query"}},
        "definitions": {"Pet": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
        "paths": {
            "/pets": {
                "post": {
                    "security": [{"k": []}],
                    "parameters": [
                        {"in": "body", "name": "pet", "schema": {"$ref": "#/definitions/Pet"}},
                        {"in": "query", "name": "size", "type": "integer", "default": 3},
                    ],
                    "responses": {"200": {"schema": {"$ref": "#/definitions/Pet"}}},
                }
            }
        },
    }
    (api,) = read(write(tmp_path / "old.json", document), category="Animal, Care", holdout=NONE).apis
    assert (api.category, api.url) == ("Animal_Care", "https://old.example.org/v2/pets")
    assert {p.name: (p.type, p.location, p.secret) for p in api.parameters} == {
        "name": ("string", "body", False),
        "size": ("integer", "query", False),
        "code": ("string", "query", True),
    }
    assert api.response_schema is not None


def test_yaml_and_relative_servers(tmp_path: Path) -> None:
    text = "openapi: 3.0.0\ninfo: {title: Y}\nservers: [{url: /api}]\n"
    text += "paths:\n  /a:\n    get:\n      responses: {200: {}}\n"
    (api,) = read(write(tmp_path / "y.yaml", text), holdout=NONE).apis
    assert (api.id, api.url) == ("Other/y/get_a", "/api/a")


def test_nothing_is_dropped_silently(tmp_path: Path, tool_document: dict[str, Any]) -> None:
    api = tool_document["api_list"][0]
    wrong_type = api | {"name": "Other", "required_parameters": "none"}
    tool_document["api_list"] += [api, {"name": " "}, 7, wrong_type, api | {"url": "https://sky.example.org/other"}]
    write(tmp_path / "Weather" / "sky.json", tool_document)
    write(tmp_path / "Weather" / "cut.json", '{"tool_name": "x",\n "api_list": [')
    write(tmp_path / "Weather" / "empty.json", {"tool_name": "x", "api_list": []})
    write(tmp_path / "Weather" / "else.json", {"hello": 1})
    write(tmp_path / "Weather" / "README.md", "no document")
    catalogue = read(str(tmp_path), holdout=NONE)
    assert sorted(r.reason for r in catalogue.rejects) == [
        "duplicate", "empty_name", "invalid_json", "no_apis", "unknown_format", "wrong_type", "wrong_type",
    ]  # fmt: skip
    assert catalogue.taken_in == 10
    assert adds_up(catalogue)
    assert len({r.id for r in catalogue.rejects}) == 7
    details = {r.reason: r.detail for r in catalogue.rejects}
    assert "Weather/cut.json is not JSON at line 2 column 15" in details["invalid_json"]
    assert any("sky.json#/api_list/5/required_parameters" in r.detail for r in catalogue.rejects)
    # Both namesakes of different content carry a hash.
    assert [a.id.startswith("Weather/sky_watch/forecast-") for a in catalogue.apis] == [True, True, False]


def test_tarball_folder_and_order_do_not_matter(tmp_path: Path, tool_document: dict[str, Any]) -> None:
    other = tool_document | {"tool_description": "Another one", "host": "b.example.org"}
    documents = {
        "tools/Weather/a.json": tool_document,
        "tools/Weather/b.json": other,
        "tools/Data/a.json": tool_document,
    }
    for name, document in documents.items():
        write(tmp_path / "folder" / name, document)
    for archive, listed in (("one.tar.gz", documents), ("two.tar.gz", dict(reversed(documents.items())))):
        with tarfile.open(tmp_path / archive, "w:gz") as out:
            for name, document in listed.items():
                raw = json.dumps(document).encode()
                info = tarfile.TarInfo(name)
                info.size = len(raw)
                out.addfile(info, io.BytesIO(raw))
    folder, one, two = (read(str(tmp_path / n), holdout=NONE) for n in ("folder", "one.tar.gz", "two.tar.gz"))
    assert folder == one == two
    assert len({t.id for t in one.tools}) == 3
    assert len({a.function for a in one.apis}) == 6
    # A filter changes neither ids nor function names, though one of the namesakes is gone.
    weather = read(str(tmp_path / "folder"), categories=["weather"], holdout=NONE)
    assert weather.apis == [a for a in one.apis if a.category == "Weather"]
    assert weather.taken_in == 4


def test_digest_follows_content_and_nothing_else(tmp_path: Path, tool_document: dict[str, Any]) -> None:
    path = tmp_path / "Weather" / "sky.json"
    first = read(write(path, tool_document), holdout=NONE)
    assert read(str(path), holdout=Holdout(tool_share=0.999999)).apis[0].digest == first.apis[0].digest
    tool_document["api_list"][0]["description"] = "Changed"
    second = read(write(path, tool_document), holdout=NONE)
    assert second.apis[0].digest != first.apis[0].digest
    assert second.apis[1].digest == first.apis[1].digest


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("cut.json", '{"openapi": "3.0.0",\n  oops}', r"cut\.json is not JSON at line 2 column 3"),
        ("cut.yaml", "a: [1,\nb: {", r"is not YAML at line"),
        ("other.json", '{"a": 1}', "is none of ToolBench toolenv"),
        ("none.json", '{"openapi": "3.0.0", "info": {"title": "x"}, "paths": {}}', "holds no API that can be used"),
        ("bad.tar.gz", "no archive", "cannot be read to its end"),
    ],
)
def test_unusable_sources(tmp_path: Path, name: str, content: str, expected: str) -> None:
    with pytest.raises(SourceError, match=expected):
        read(write(tmp_path / name, content), holdout=NONE)


def test_missing_empty_and_unreachable_sources(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        read(str(tmp_path / "nowhere"), holdout=NONE)
    with pytest.raises(SourceError, match="holds no JSON or YAML"):
        read(str(tmp_path), holdout=NONE)
    with pytest.raises(SourceError, match="cannot be reached"):
        read("http://user:hush@127.0.0.1:1/index.json", holdout=NONE)
    with pytest.raises(SourceError, match=r"cannot be read|does not exist"):
        read("a\0b", holdout=NONE)


def test_unknown_category_names_near_ones(tmp_path: Path, tool_document: dict[str, Any]) -> None:
    source = write(tmp_path / "Weather" / "sky.json", tool_document)
    with pytest.raises(UsageError, match="no category 'Wether': did you mean Weather"):
        read(source, categories=["Wether"], holdout=NONE)
    with pytest.raises(UsageError, match="it has Weather"):
        read(source, categories=["Zoo"], holdout=NONE)


@contextmanager
def served(pages: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = pages.get(self.path, (404, {}, b""))
            self.send_response(status)
            for header in headers.items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_index_url(openapi_document: dict[str, Any]) -> None:
    document = json.dumps(openapi_document).encode()
    index = {"openapi": ["/a.json", "/moved.json", "/gone.json", "http://127.0.0.2/x.json", 5]}
    pages: dict[str, tuple[int, dict[str, str], bytes]] = {
        "/index.json": (200, {}, json.dumps(index).encode()),
        "/a.json": (200, {}, document),
        "/moved.json": (302, {"Location": "/b.json"}, b""),
        "/b.json": (200, {}, document.replace(b"Harbour", b"Pier")),
        "/away.json": (302, {"Location": "http://127.0.0.2/x.json"}, b""),
    }
    with served(pages) as url:
        catalogue = read(f"{url}/index.json", holdout=NONE)
        assert read(f"{url}/a.json", holdout=NONE).tools[0].id == "Travel/harbour"
        with pytest.raises(SourceError, match="leads away"):
            read(f"{url}/away.json", holdout=NONE)
        with pytest.raises(SourceError, match="HTTP status 404"):
            read(f"{url}/nothing", holdout=NONE)
    assert [t.id for t in catalogue.tools] == ["Travel/harbour", "Travel/pier"]
    assert sorted(r.reason for r in catalogue.rejects) == ["other_host", "other_host", "unreachable"]
    assert adds_up(catalogue)


def test_apis_of_instructions() -> None:
    api = {
        "category_name": "News, Media",
        "tool_name": "Daily",
        "api_name": "Head Lines",
        "api_description": "d",
        "required_parameters": [],
        "optional_parameters": [],
        "method": "GET",
        "template_response": {"a": "str"},
    }
    entries = [{"query": "q", "api_list": [api, api | {"api_name": "Other"}]}, {"api_list": [api, {"tool_name": 3}]}, 9]
    catalogue = apis_of_instructions(entries)
    assert [a.id for a in catalogue.apis] == ["News_Media/daily/head_lines", "News_Media/daily/other"]
    assert len(catalogue.rejects) == 2
    assert adds_up(catalogue)
    assert json.loads(catalogue.apis[0].response_example or "") == {"a": "str"}
    found = Lookup(catalogue.apis).find("News/Media", "DAILY", "head_lines")
    assert found is not None
    assert found.name == "Head Lines"
    assert Lookup(catalogue.apis).find("News, Media", "Daily", "nothing") is None
