import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as Answer
from starlette.routing import Route
from workshop import Server, an_api

from toolbench.apis.server import ToolServer
from toolbench.apis.wording import ERRORS, server_names
from toolbench.records import Api, Parameter, Response
from toolbench.settings import ApiSettings

KEY = "k3y/with+signs"


class Scripted:
    """A tool server that answers as it is told and remembers what it was sent."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (200, b'{"error": "", "response": 1}')
        self.delay = 0.0
        self.asked: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/virtual", self._call, methods=["POST"])])

    async def _call(self, request: Request) -> Answer:
        self.asked.append(await request.json())
        await asyncio.sleep(self.delay)
        code, body = self.answer
        return Answer(body, code, headers={"location": "/elsewhere"})


@pytest.fixture
def scripted() -> Iterator[tuple[Scripted, str]]:
    script = Scripted()
    server = Server(script.app)
    yield script, f"{server.url}/virtual"
    server.stop()


def ask(url: str, api: Api, arguments: dict[str, Any], **fields: Any) -> Response:
    async def scenario() -> Response:
        caller = ToolServer(ApiSettings(**{"server_url": url, "server_key": KEY, **fields}))
        response = await caller.call(api, arguments)
        await caller.close()
        assert response is not None
        return response

    return asyncio.run(scenario())


def test_the_call_is_in_the_servers_names(scripted: tuple[Scripted, str]) -> None:
    script, url = scripted
    hashed = Parameter(name="from", shown_as="is_from-1a2b3c4d", type="string", required=False)
    api = an_api("Sun", "from", id="Weather/sun-00000000/from-12345678", parameters=[hashed])
    assert ask(url, api, {"is_from-1a2b3c4d": "Malmö", "n": 1}) == Response(response=1, source="server")
    (sent,) = script.asked
    assert json.loads(sent.pop("tool_input")) == {"is_from": "Malmö", "n": 1}
    assert sent == {
        "category": "Weather", "tool_name": "sun", "api_name": "is_from", "strip": "", "toolbench_key": KEY,
    }  # fmt: skip


def test_a_thing_of_which_no_name_is_left_goes_by_its_own() -> None:
    api = an_api("Погода", "сейчас", id="Weather/unnamed-00000000/unnamed-12345678")
    assert server_names(api) == ("Weather", "Погода", "сейчас")


@pytest.mark.parametrize("status", sorted(set(ERRORS) - {1}))
def test_statuses_follow_the_words(scripted: tuple[Scripted, str], status: int) -> None:
    script, url = scripted
    script.answer = (200, json.dumps({"error": ERRORS[status], "response": "more"}).encode())
    found = ask(url, an_api("Sun", "rise"), {})
    assert (found.status, found.error, found.response, found.source) == (status, ERRORS[status], "more", "server")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((500, b"oops"), 12),
        ((404, b""), 12),
        ((302, b""), 12),
        ((422, b'{"detail": []}'), 12),
        ((429, b"{}"), 9),
        ((504, b"{}"), 5),
        ((401, b"{}"), 7),
        ((200, b"<html>"), 12),
        ((200, b""), 12),
        ((200, b"[1]"), 12),
        ((200, b'{"detail": 1}'), 12),
        ((200, b"[" * 3_000), 12),
        ((200, b'{"response": "' + b"x" * 5000 + b'"}'), 11),
        ((200, b'{"error": {"a": 1}, "response": 2}'), 11),
        ((200, b'{"error": null, "response": NaN}'), 0),
        ((200, b'{"error": "", "response": "\xff"}'), 0),
    ],
)
def test_whatever_comes_back_is_a_response(scripted: tuple[Scripted, str], answer: Any, status: int) -> None:
    script, url = scripted
    script.answer = answer
    found = ask(url, an_api("Sun", "rise"), {}, max_bytes=4096)
    assert (found.status, found.source) == (status, "server")
    assert bool(found.error) == bool(status)
    assert len(script.asked) == 1, "redirects are not followed, and a POST is not sent twice"


def test_the_key_never_comes_back(scripted: tuple[Scripted, str]) -> None:
    script, url = scripted
    for code in (200, 500):
        spelled = KEY.encode().hex().upper()
        escaped = "".join(f"\\u{ord(c):04x}" for c in KEY)
        body = '{"error": "bad key %s", "response": {"%s": ["%s", "k3y%%2Fwith%%2Bsigns"]}}' % (KEY, KEY, escaped)  # noqa: UP031
        script.answer = (code, body.encode())
        told = ask(url.replace("://", "://me:pass-w0rd@"), an_api("Sun", "rise"), {}).envelope
        assert KEY not in told
        assert "k3y%2F" not in told
        assert spelled not in told
        assert "(secret)" in told


def test_a_slow_or_missing_server_is_an_answer_too(scripted: tuple[Scripted, str]) -> None:
    script, url = scripted
    script.delay = 5
    assert ask(url, an_api("Sun", "rise"), {}, timeout=0.1).status == 5
    found = ask("http://me:pass-w0rd@127.0.0.1:9/virtual", an_api("Sun", "rise"), {})
    assert found.status == 12
    assert "pass-w0rd" not in found.error


def test_the_scripted_servers_of_the_bench_are_understood(data_dir: Path, tmp_path: Path) -> None:
    script = data_dir.parent / "bench" / "scripted_tools.py"
    if not script.exists():
        pytest.skip(f"needs {script}")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(script), "--port", str(port), "--error-every", "2", "--latency-ms", "0"],
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout
        process.stdout.readline()
        url = f"http://127.0.0.1:{port}/virtual"
        found = [ask(url, an_api("Sun", "rise"), {"city": f"c{n}"}) for n in range(40)]
        assert {r.status for r in found} == {0, 6, 7, 8, 9, 11}
        assert all(json.loads(r.response)["tool"] == "sun" for r in found if r.status == 0)
        assert httpx.get(f"http://127.0.0.1:{port}/stats").json()["invalid"] == 0
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A free port."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
