"""The offline teacher behind HTTP: OpenAI's endpoints, the counters, and the faults that only a server can have."""

import asyncio
import hmac
import json
import math
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from toolbench.errors import UsageError
from toolbench.teacher.offline import batch_routes
from toolbench.teacher.offline.batches import Batches
from toolbench.teacher.offline.complete import MODEL, BadRequestError, complete, digest_of
from toolbench.teacher.offline.faults import Faults
from toolbench.teacher.offline.streaming import events

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_WINDOW = 60.0
"""Seconds over which `Faults.rpm` counts."""


class Counters:
    """What the server remembers: how often each request came, how many at once, and when. Replies never use it."""

    def __init__(self) -> None:
        self.chat = self.in_flight = self.in_flight_max = 0
        self.seen: dict[str, int] = {}
        self.taken: deque[float] = deque()

    def reset(self) -> None:
        """Forgets everything but the requests in flight."""
        self.chat, self.in_flight_max = 0, self.in_flight
        self.seen.clear()
        self.taken.clear()

    def attempt(self, digest: str) -> int:
        """How often this request came before; counts it."""
        before = self.seen.get(digest, 0)
        self.seen[digest] = before + 1
        return before

    def wait(self, rpm: int | None, now: float) -> float:
        """Seconds until a request would be within the limit; 0 takes it now."""
        if rpm is None:
            return 0.0
        while self.taken and now - self.taken[0] >= _WINDOW:
            self.taken.popleft()
        if len(self.taken) >= rpm:
            return _WINDOW - (now - self.taken[0])
        self.taken.append(now)
        return 0.0

    def stats(self) -> dict[str, int]:
        """`chat`: requests to the chat endpoint, refused ones too; digests are of those that were valid JSON."""
        most = max(self.seen.values(), default=0)
        return {
            "chat": self.chat,
            "by_digest_max": most,
            "in_flight_max": self.in_flight_max,
            "distinct": len(self.seen),
        }


def _error(
    status: int,
    message: str,
    kind: str,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> "Response":
    from starlette.responses import JSONResponse

    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return JSONResponse(body, status, headers=dict(headers or {}))


def _unauthorised(request: "Request", api_key: str | None) -> "Response | None":
    given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if api_key is None or hmac.compare_digest(given.encode(), api_key.encode()):
        return None
    return _error(
        401,
        "The API key is wrong or missing: send the one the server was started with.",
        "invalid_request_error",
        "invalid_api_key",
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


async def _chat(request: "Request", faults: Faults, counters: Counters) -> "Response":
    """Parses, counts, misbehaves as told, and replies whole or as a stream."""
    from starlette.responses import Response, StreamingResponse

    try:
        body = json.loads(await request.body(), parse_constant=_no_constant)
        if not isinstance(body, dict):
            raise ValueError("not an object")
        digest = digest_of(body)
    except (ValueError, RecursionError, BadRequestError):
        return _error(400, "The request's body must be a JSON object.", "invalid_request_error")
    attempt = counters.attempt(digest)
    if delay := faults.delay(digest, attempt):
        await asyncio.sleep(delay)
    if wait := counters.wait(faults.rpm, time.monotonic()):
        seconds = str(math.ceil(wait))
        message = f"Rate limit of {faults.rpm} requests per minute reached: try again in {seconds} seconds."
        return _error(429, message, "requests", "rate_limit_exceeded", headers={"Retry-After": seconds})
    if faults.hits("error", digest, attempt):
        return _error(500, "The server had an error while processing the request.", "server_error")
    try:
        completion = complete(body, faults, attempt)
    except BadRequestError as error:
        return _error(400, str(error), "invalid_request_error", param=error.param)
    if body.get("stream") is True:
        options = body.get("stream_options")
        return StreamingResponse(
            events(completion, isinstance(options, dict) and options.get("include_usage") is True),
            media_type="text/event-stream",
        )
    return Response(json.dumps(completion, separators=(",", ":")), media_type="application/json")


def create_app(faults: Faults | None = None, api_key: str | None = None) -> "Starlette":
    """The application: `/v1/chat/completions`, `/v1/models` and the Batch API (with `api_key`, if set), `/stats`,
    `/reset`, `/health`."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    counters, settings = Counters(), faults or Faults()
    batches = Batches(settings, counters.attempt)

    async def chat(request: "Request") -> "Response":
        counters.chat += 1
        counters.in_flight += 1
        counters.in_flight_max = max(counters.in_flight_max, counters.in_flight)
        try:
            return _unauthorised(request, api_key) or await _chat(request, settings, counters)
        finally:
            counters.in_flight -= 1

    async def models(request: "Request") -> "Response":
        listed = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "toolbench"}]}
        return _unauthorised(request, api_key) or JSONResponse(listed)

    async def stats(request: "Request") -> "Response":
        return JSONResponse({**counters.stats(), **batches.stats()})

    async def reset(request: "Request") -> "Response":
        counters.reset()
        batches.reset()
        return JSONResponse({**counters.stats(), **batches.stats()})

    async def health(request: "Request") -> "Response":
        return JSONResponse({"status": "ok", "model": MODEL})

    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/models", models),
        Route("/stats", stats),
        Route("/reset", reset, methods=["POST"]),
        Route("/health", health),
        *batch_routes.routes(batches, lambda request: _unauthorised(request, api_key), _error),
    ]
    return Starlette(routes=routes)


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    faults: Faults | None = None,
    api_key: str | None = None,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Serves until interrupted. `port` 0 takes a free one; `ready` is told the port once connections are taken.

    Raises UsageError if the address cannot be bound or uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise UsageError("The offline teacher's server needs uvicorn: install toolbench[demo].") from error
    try:
        listener = socket.create_server((host, port), backlog=512)
        # asyncio sets this only on sockets that know their protocol; without it an answer comes 40 ms late.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, OverflowError) as error:
        raise UsageError(f"Cannot listen on {host}:{port} ({error}): choose another --host or --port.") from error
    with listener:
        if ready is not None:
            ready(listener.getsockname()[1])
        config = uvicorn.Config(
            create_app(faults, api_key), log_level="warning", access_log=False, timeout_graceful_shutdown=2
        )
        uvicorn.Server(config).run(sockets=[listener])
