"""A host on loopback, and calls of its APIs."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpcore

from toolbench.apis.live import Live
from toolbench.records import Api, Parameter, Response
from toolbench.settings import ApiSettings

PUBLIC = "93.184.215.14"

Seen = tuple[str, str, dict[str, str], bytes]
Answer = tuple[int, dict[str, str], bytes]


class Host(ThreadingHTTPServer):
    """A host on loopback that remembers every request and answers as told."""

    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.answer: Callable[[Seen], Answer] = lambda _: (200, {"Content-Type": "application/json"}, b'{"ok": true}')
        self.delay = 0.0
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def says(self, body: bytes, status: int = 200, **headers: str) -> None:
        named = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        self.answer = lambda _: (status, named, body)


class _Handler(BaseHTTPRequestHandler):
    server: Host

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = (self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        self.server.seen.append(seen)
        status, headers, data = self.server.answer(seen)
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            step = max(1, len(data) // 20) if self.server.delay else max(1, len(data))
            for start in range(0, len(data), step):
                time.sleep(self.server.delay)
                self.wfile.write(data[start : start + step])
                self.wfile.flush()
        except OSError:
            pass  # the caller had enough

    do_GET = do_POST = do_HEAD = do_DELETE = _do

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Host]:
    """A host for the length of the block."""
    server = Host()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def parameter(name: str, location: str = "query", shown_as: str = "", secret: bool = False) -> Parameter:
    return Parameter(
        name=name, shown_as=shown_as or name, type="string", required=False, location=location, secret=secret
    )


def api(*parameters: Parameter, url: str = "https://api.example.com/v1/find", method: str = "GET") -> Api:
    return Api(
        id="C/t/a", tool_id="C/t", tool="t", name="a", category="C", collections=[], description="", method=method,
        url=url, parameters=list(parameters), function="f", definition="{}", digest="",
    )  # fmt: skip


def call(host: Host, what: Api, arguments: dict[str, Any] | None = None, **settings: Any) -> Response | None:
    return ask({"hosts": {"api.example.com": host.base}, **settings}, what, arguments)


def ask(settings: dict[str, Any], what: Api, arguments: dict[str, Any] | None = None, **parts: Any) -> Response | None:
    """One call; `parts` are those of `Live` that a test replaces."""

    async def scenario() -> Response | None:
        live = Live(ApiSettings(**settings), **parts)
        try:
            return await live.call(what, arguments or {})
        finally:
            await live.close()

    return asyncio.run(scenario())


class Detour(httpcore.AsyncNetworkBackend):
    """Notes every address that is connected to, and leads the connection to a host on loopback."""

    def __init__(self, host: Host | None = None, dead: tuple[str, ...] = ()) -> None:
        self.connected: list[str] = []
        self._host = host
        self._dead = dead
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        if not self._host or host in self._dead:
            raise httpcore.ConnectError
        return await self._network.connect_tcp("127.0.0.1", self._host.server_port)


class Names:
    """A name server whose answers change: each question takes the next answer, the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): found for name, found in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        found = self.answers.get(host, [["127.0.0.1"]])
        return found.pop(0) if len(found) > 1 else found[0]
