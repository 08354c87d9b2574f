"""Running MCP servers: real ones over stdio and streamable HTTP, and such as misbehave."""

import contextlib
import json
import logging
import shlex
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import mcp_types
import pytest
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from workshop import Server as Listening

from toolbench.catalogue import Holdout, mcp_live, read
from toolbench.errors import SourceError

STDIO_SERVER = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("Weather Desk", instructions="Forecasts for sailors")

@server.tool()
def forecast(city: str, days: int = 3) -> dict[str, int]:
    "The forecast of a city"
    return {}

server.run()
"""
# Answers the handshake, then lists one tool that the SDK itself would not take, and one that it would.
HALF_BROKEN = """
import json, os, sys

for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "half", "version": os.environ.get("SECRET_OF_THIS_TEST", "none")}}
    elif asked["method"] == "tools/list":
        tools = [{"name": "good", "inputSchema": {"type": "object"}}, {"name": 7}]
        result = {"tools": tools}
        if len(sys.argv) > 1:
            result["nextCursor"] = (asked.get("params") or {}).get("cursor", "") + "x"
    elif "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "no"}}), flush=True)
        continue
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


def command(folder: Path, code: str, *arguments: str) -> str:
    script = folder / "a server.py"
    script.write_text(code, encoding="utf-8")
    return "stdio:" + shlex.join([sys.executable, str(script), *arguments])


def paged() -> Server[Any]:
    """A server of two pages."""

    async def list_tools(_: Any, params: Any) -> mcp_types.ListToolsResult:
        page = int((params and params.cursor) or 0)
        tool = mcp_types.Tool(name=f"tool {page}", input_schema={"type": "object", "properties": {"q": {}}})
        return mcp_types.ListToolsResult(tools=[tool], next_cursor=None if page else "1")

    return Server("Paged", version="3", on_list_tools=list_tools)


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    server = Listening(app)
    try:
        yield server.url
    finally:
        server.stop()


def test_a_server_that_is_started_is_read_like_its_saved_list(tmp_path: Path) -> None:
    source = command(tmp_path, STDIO_SERVER, "--key", "sesame")
    catalogue = read(source, category="Weather", holdout=Holdout())
    (tool,) = catalogue.tools
    (api,) = catalogue.apis
    assert (tool.name, tool.description, tool.base_url) == ("Weather Desk", "Forecasts for sailors", "")
    assert (api.id, api.url) == ("Weather/weather_desk/forecast", "")
    assert {p.name: (p.type, p.required) for p in api.parameters} == {
        "city": ("string", True),
        "days": ("integer", False),
    }
    (tmp_path / "saved.json").write_bytes(mcp_live.of_command(source))
    saved = read(str(tmp_path / "saved.json"), category="Weather", holdout=Holdout())
    assert (saved.tools, saved.apis) == (catalogue.tools, catalogue.apis)


def test_all_pages_of_a_server_at_a_url_are_read() -> None:
    with serving(paged().streamable_http_app()) as url:
        catalogue = read(f"mcp+{url}/mcp", category="Other", holdout=Holdout())
        assert [a.name for a in catalogue.apis] == ["tool 0", "tool 1"]
        assert {a.url for a in catalogue.apis} == {f"mcp+{url}/mcp"}
        assert catalogue.tools[0].name == "Paged"
        assert read(f"{url}/mcp", category="Other", holdout=Holdout()).apis == catalogue.apis


def test_headers_go_to_the_server() -> None:
    app = MCPServer("Locked")
    app.add_tool(lambda city: city, name="open", description="Opens")
    inner = app.streamable_http_app()

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (b"authorization", b"Bearer sesame") not in scope["headers"]:
            await send({"type": "http.response.start", "status": 405, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await inner(scope, receive, send)

    with serving(guarded) as url:
        with pytest.raises(SourceError, match="Authorization"):
            read(f"{url}/mcp", holdout=Holdout())
        headers = {"Authorization": "Bearer sesame"}
        catalogue = read(f"{url}/mcp", category="Other", holdout=Holdout(), headers=headers)
    assert [a.name for a in catalogue.apis] == ["open"]
    assert "sesame" not in repr(catalogue)


def test_one_broken_tool_does_not_cost_the_others_and_the_environment_stays_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THIS_TEST", "sesame")
    source = command(tmp_path, HALF_BROKEN)
    catalogue = read(source, category="Other", holdout=Holdout())
    assert [a.name for a in catalogue.apis] == ["good"]
    (row,) = catalogue.rejects
    assert (row.reason, "#/tools/1/name" in row.detail) == ("empty_name", True)
    assert json.loads(mcp_live.of_command(source))["version"] == "none"


def test_a_server_of_endless_pages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="on more than 100 pages"):
        read(command(tmp_path, HALF_BROKEN, "endless"), holdout=Holdout())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys; sys.exit('no such key')", "ended before it answered; its last words: no such key"),
        ("import sys; sys.exit(f'what is {sys.argv[1]}?')", "its last words: what is …?"),
        ("import sys; sys.exit('\\x1b[31mred')", "its last words: [31mred"),
        ("print('hello')", "ended before it answered"),
        ("import os; os.write(1, b'\\xff\\xfe\\n' * 9)", "ended before it answered"),
    ],
)
def test_a_command_that_is_no_server_is_named_with_its_last_words(
    code: str, expected: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SourceError) as raised:
        read(command(tmp_path, code, "sk-sesame"), holdout=Holdout())
    assert expected in str(raised.value)
    assert "stdio:python" in str(raised.value)
    assert "sesame" not in str(raised.value)
    assert caplog.text == ""
    assert logging.getLogger("mcp").level == logging.NOTSET


def test_a_server_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_live, "_TIMEOUT", 1.0)
    note = tmp_path / "pid"
    code = f"import os, sys; open({str(note)!r}, 'w').write(str(os.getpid())); sys.stdin.read()"
    with pytest.raises(SourceError, match="did not list its tools within 1 seconds"):
        read(command(tmp_path, code), holdout=Holdout())
    assert not Path(f"/proc/{note.read_text()}").exists()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("stdio:", "There is no command behind stdio:"),
        ("stdio:'x", "check its quotes"),
        ("stdio:/no/such/command --key sesame", "stdio:command cannot be started: the command is not found"),
        ("stdio:/ x", "may not be executed"),
        ("stdio:a\0b", "does not answer as an MCP server"),
        ("mcp+http://127.0.0.1:1/mcp?key=sesame", "mcp+http://127.0.0.1:1/mcp does not answer"),
        ("mcp+http://[::1/", "does not answer as an MCP server"),
    ],
)
def test_what_cannot_be_started_or_reached_is_one_sentence(source: str, expected: str) -> None:
    with pytest.raises(SourceError) as raised:
        read(source, holdout=Holdout())
    assert expected in str(raised.value)
    assert "sesame" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_path_with_spaces_that_does_not_exist_may_have_been_a_command() -> None:
    with pytest.raises(SourceError, match="stdio:COMMAND ARGS"):
        read("npx -y some-server", holdout=Holdout())
    with pytest.raises(SourceError) as raised:
        read("nowhere.json", holdout=Holdout())
    assert "stdio:" not in str(raised.value)


class _Answers(BaseHTTPRequestHandler):
    """Answers a GET and a POST as its server says."""

    def do_GET(self) -> None:
        self._answer(*self.server.get)  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._answer(*self.server.post)  # type: ignore[attr-defined]

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for header in headers.items():
            self.send_header(*header)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("get", "post", "expected"),
    [
        ((405, {}, b""), (404, {}, b""), "answered with HTTP status 405, and is no MCP server either"),
        ((200, {"content-type": "text/event-stream"}, b""), (200, {}, b"hi"), "stream of events and no document, and"),
        ((406, {}, b""), (307, {"location": "http://127.0.0.2:1/"}, b""), "not followed"),
        (
            (400, {}, b""),
            (200, {"content-type": "application/json", "content-encoding": "gzip"}, b"\x1f\x8b"),
            "compressed, which was not asked for",
        ),
        ((400, {}, b""), (200, {"content-type": "application/json"}, b"[" * 9999), "is no MCP server either"),
        ((401, {}, b""), (200, {}, b""), "answered with HTTP status 401."),
    ],
)
def test_an_address_that_is_neither_document_nor_server_is_named_with_both_reasons(
    get: Any, post: Any, expected: str
) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    server.get, server.post = get, post  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with pytest.raises(SourceError) as raised:
            read(f"http://127.0.0.1:{server.server_port}/mcp", holdout=Holdout())
    finally:
        server.shutdown()
        server.server_close()
    assert expected in str(raised.value)


def test_a_server_can_be_read_from_inside_an_event_loop(tmp_path: Path) -> None:
    import asyncio

    async def inside() -> int:
        return len(read(command(tmp_path, HALF_BROKEN), category="Other", holdout=Holdout()).apis)

    assert asyncio.run(inside()) == 1
