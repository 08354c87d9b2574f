"""A student behind OpenAI's chat endpoint: small, one request at a time, for CPUs, tests and demonstrations."""

import asyncio
import hmac
import ipaddress
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolbench.errors import UsageError
from toolbench.student.asked import BadRequestError, asked
from toolbench.student.reply import Student

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

NAME = "student"
_LARGEST = 32 * 2**20
"""Bytes of a request at most."""


def create_app(student: Student, name: str = NAME, api_key: str | None = None, most: int = 1024) -> "Starlette":
    """The application: `/v1/chat/completions` and `/v1/models` (with `api_key`, if set), and `/health`.

    `most`: tokens of a reply where the request does not say.
    """
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route

    def refused(request: "Request") -> "Response | None":
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if api_key is None or hmac.compare_digest(given.encode(), api_key.encode()):
            return None
        return _error(BadRequestError("The API key is wrong or missing.", None, "invalid_api_key", 401))

    async def chat(request: "Request") -> "Response":
        if refusal := refused(request):
            return refusal
        try:
            wanted = asked(await _body(request))
            if wanted.model != name:
                message = f"There is no model `{wanted.model}`: this server has `{name}`."
                raise BadRequestError(message, "model", "model_not_found", 404)
            made = await asyncio.to_thread(student.answer, wanted, most)
        except BadRequestError as error:
            return _error(error)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}
        if wanted.stream:
            usage = wanted.stream_options is not None and wanted.stream_options.include_usage
            return StreamingResponse(_events(head, made, usage), media_type="text/event-stream")
        return JSONResponse({**head, "object": "chat.completion", **made})

    async def models(request: "Request") -> "Response":
        listed = {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "toolbench"}]}
        return refused(request) or JSONResponse(listed)

    async def health(request: "Request") -> "Response":
        return JSONResponse({"status": "ok", "model": name, "calls": student.how})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", models),
            Route("/health", health),
        ]
    )


def serve(
    student: Student,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    name: str = NAME,
    api_key: str | None = None,
    most: int = 1024,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Serve until interrupted. `port` 0 takes a free one; `ready` is told the port once connections are taken.

    Raises UsageError if the address cannot be bound, or others could reach it without a key.
    """
    import uvicorn

    check_address(host, api_key)
    try:
        listener = socket.create_server((host, port), backlog=512)
    except (OSError, OverflowError) as error:
        raise UsageError(f"Cannot listen on {host}:{port} ({error}): choose another --host or --port.") from error
    # asyncio sets this only on sockets that know their protocol; without it an answer comes 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener:
        if ready is not None:
            ready(listener.getsockname()[1])
        app = create_app(student, name, api_key, most)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        uvicorn.Server(config).run(sockets=[listener])


def check_address(host: str, api_key: str | None) -> None:
    """Raises UsageError if others than this machine could ask, and no key is wanted of them."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not api_key:
        raise UsageError(f"Others can reach {host}: set TOOLBENCH_STUDENT_KEY, or listen on 127.0.0.1.")


async def _body(request: "Request") -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > _LARGEST:
            raise BadRequestError(f"The request has more than {_LARGEST} bytes.", status=413)
    return b"".join(parts)


def _error(error: BadRequestError) -> "Response":
    from starlette.responses import JSONResponse

    body = {"message": str(error), "type": "invalid_request_error", "param": error.param, "code": error.code}
    return JSONResponse({"error": body}, error.status)


def _events(head: Mapping[str, Any], made: Mapping[str, Any], usage: bool) -> Iterator[str]:
    """The reply as server-sent events: what was said, each call, the reason of the end, and usage if asked for.

    The reply is parsed as a whole, since calls are text to a small model; so it comes in few chunks.
    """
    (choice,) = made["choices"]
    message = choice["message"]

    def event(choices: list[dict[str, Any]], **more: Any) -> str:
        chunk = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
        return f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n"

    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": message["content"]}]
    deltas += [{"tool_calls": [{"index": n, **call}]} for n, call in enumerate(message.get("tool_calls", ()))]
    for delta in deltas:
        yield event([{"index": 0, "delta": delta, "finish_reason": None}])
    yield event([{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}])
    if usage:
        yield event([], usage=made["usage"])
    yield "data: [DONE]\n\n"
