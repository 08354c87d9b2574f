"""The offline teacher behind HTTP: OpenAI's endpoints, the counters, and the faults that only a server can have."""

import asyncio
import json
import math
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toolbench.serving.answers import failure, unauthorised
from toolbench.serving.answers import models as listed
from toolbench.serving.listening import listen
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
        return failure(400, "The request's body must be a JSON object.", "invalid_request_error")
    attempt = counters.attempt(digest)
    if delay := faults.delay(digest, attempt):
        await asyncio.sleep(delay)
    if wait := counters.wait(faults.rpm, time.monotonic()):
        seconds = str(math.ceil(wait))
        message = f"Rate limit of {faults.rpm} requests per minute reached: try again in {seconds} seconds."
        return failure(429, message, "requests", "rate_limit_exceeded", headers={"Retry-After": seconds})
    if faults.hits("error", digest, attempt):
        return failure(500, "The server had an error while processing the request.", "server_error")
    try:
        completion = complete(body, faults, attempt)
    except BadRequestError as error:
        return failure(400, str(error), "invalid_request_error", param=error.param)
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
    keys = (api_key,) if api_key else ()
    batches = Batches(settings, counters.attempt)

    async def chat(request: "Request") -> "Response":
        counters.chat += 1
        counters.in_flight += 1
        counters.in_flight_max = max(counters.in_flight_max, counters.in_flight)
        try:
            return unauthorised(request, keys) or await _chat(request, settings, counters)
        finally:
            counters.in_flight -= 1

    async def models(request: "Request") -> "Response":
        return unauthorised(request, keys) or JSONResponse(listed(MODEL))

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
        *batch_routes.routes(batches, lambda request: unauthorised(request, keys), failure),
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
    listen(create_app(faults, api_key), host, port, ready)
