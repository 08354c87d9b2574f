"""The report behind HTTP, for this machine alone: its files, and a stream that tells what is new."""

import asyncio
import ipaddress
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from toolbench.errors import UsageError
from toolbench.report.pages import POLICY
from toolbench.report.viewing import Viewer

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    "content-security-policy": POLICY.format(connect="'self'") + "; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_LOOK, _BEAT = 0.3, 15.0
"""Seconds between looks at what is to be told, and between signs of life."""


def create_app(viewer: Viewer) -> "Starlette":
    """The application: `/live` tells states as server-sent events, everything else is a file of the report.

    A request is answered only if it names this machine as its host: a page of elsewhere whose name leads here (DNS
    rebinding) reads nothing.
    """
    from starlette.applications import Starlette
    from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, StreamingResponse
    from starlette.routing import Route

    async def live(request: "Request") -> "Response":
        if not _local(request.headers.get("host", "")):
            return PlainTextResponse("This server answers to 127.0.0.1 and localhost.\n", 421, _HEADERS)
        return StreamingResponse(_told(viewer), headers=_HEADERS, media_type="text/event-stream")

    async def file(request: "Request") -> "Response":
        if not _local(request.headers.get("host", "")):
            return PlainTextResponse("This server answers to 127.0.0.1 and localhost.\n", 421, _HEADERS)
        wanted = request.path_params["path"]
        if not wanted:
            return RedirectResponse("/index.html", headers=_HEADERS)
        found = within(viewer.root, wanted)
        if found is None:
            return PlainTextResponse("The report has no such file.\n", 404, _HEADERS)
        return FileResponse(found, headers=_HEADERS, media_type=_TYPES[found.suffix])

    return Starlette(routes=[Route("/live", live), Route("/{path:path}", file)])


def within(root: Path, wanted: str) -> Path | None:
    """The file of the report that a path of a request names; None for whatever is none, or lies elsewhere."""
    if "\0" in wanted or "\\" in wanted or any(part in ("", ".", "..") for part in wanted.split("/")):
        return None
    found = root / wanted
    try:
        inside = found.suffix in _TYPES and found.is_file() and found.resolve().is_relative_to(root.resolve())
    except OSError:  # a name that the file system has no room for
        return None
    return found if inside else None


def serve(viewer: Viewer, host: str, port: int, ready: Callable[[int], None] | None = None) -> None:
    """Serve until the process ends; `ready` is given the port. Raises UsageError if it cannot listen there, or others
    than this machine could ask."""
    import uvicorn

    check_loopback(host)
    try:
        listener = socket.create_server((host, port), backlog=128, family=_family(host))
    except (OSError, OverflowError) as error:
        raise UsageError(f"Cannot listen on {host}:{port} ({error}): choose another --port, or 0 for any.") from error
    # asyncio sets this only on sockets that know their protocol; without it an answer comes 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener:
        if ready is not None:
            ready(listener.getsockname()[1])
        config = uvicorn.Config(create_app(viewer), log_level="warning", access_log=False, timeout_graceful_shutdown=1)

        class Server(uvicorn.Server):
            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                viewer.ending = True  # streams end by themselves: uvicorn would wait for them, then cut them off
                super().handle_exit(sig, frame)

        Server(config).run(sockets=[listener])


def check_loopback(host: str) -> None:
    """Raises UsageError if others than this machine could ask: a report shows all that a lake holds."""
    if not _loopback(host):
        raise UsageError(
            f"Others can reach {host}, and a report shows all that a lake holds: listen on 127.0.0.1, or publish the "
            "pages with `toolbench report`."
        )


def _loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _local(host: str) -> bool:
    """Whether a Host header names this machine, with whatever port."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return _loopback(name)


async def _told(viewer: Viewer) -> AsyncIterator[str]:
    """Every change of the state, the first at once."""
    said: dict[str, Any] | None = None
    silent = 0.0
    while not viewer.ending:
        state = viewer.state.plain()
        if state != said:
            said, silent = state, 0.0
            yield f"data: {json.dumps(state)}\n\n"
        elif silent >= _BEAT:
            silent = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK)
        silent += _LOOK
