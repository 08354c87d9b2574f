"""A student behind OpenAI's chat endpoint: small, one request at a time, for CPUs, tests and demonstrations."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolbench.serving import listening
from toolbench.serving.answers import DONE, bad_request, body, event, unauthorised
from toolbench.serving.answers import models as listed
from toolbench.serving.listening import listen
from toolbench.serving.requests import BadRequestError, asked
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

    keys = (api_key,) if api_key else ()

    async def chat(request: "Request") -> "Response":
        if refusal := unauthorised(request, keys):
            return refusal
        try:
            wanted = asked(await body(request, _LARGEST))
            if wanted.model != name:
                message = f"There is no model `{wanted.model}`: this server has `{name}`."
                raise BadRequestError(message, "model", "model_not_found", 404)
            made = await asyncio.to_thread(student.answer, wanted, most)
        except BadRequestError as error:
            return bad_request(error)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}
        if wanted.stream:
            usage = wanted.stream_options is not None and wanted.stream_options.include_usage
            return StreamingResponse(_events(head, made, usage), media_type="text/event-stream")
        return JSONResponse({**head, "object": "chat.completion", **made})

    async def models(request: "Request") -> "Response":
        return unauthorised(request, keys) or JSONResponse(listed(name))

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
    check_address(host, api_key)
    listen(create_app(student, name, api_key, most), host, port, ready)


def check_address(host: str, api_key: str | None) -> None:
    """Raises UsageError if others than this machine could ask, and no key is wanted of them."""
    listening.check_address(host, bool(api_key), "TOOLBENCH_STUDENT_KEY")


def _events(head: Mapping[str, Any], made: Mapping[str, Any], usage: bool) -> Iterator[str]:
    """The reply as server-sent events: what was said, each call, the reason of the end, and usage if asked for.

    The reply is parsed as a whole, since calls are text to a small model; so it comes in few chunks.
    """
    (choice,) = made["choices"]
    message = choice["message"]

    def chunk(choices: list[dict[str, Any]], **more: Any) -> str:
        return event({**head, "object": "chat.completion.chunk", "choices": choices, **more})

    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": message["content"]}]
    deltas += [{"tool_calls": [{"index": n, **call}]} for n, call in enumerate(message.get("tool_calls", ()))]
    for delta in deltas:
        yield chunk([{"index": 0, "delta": delta, "finish_reason": None}])
    yield chunk([{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}])
    if usage:
        yield chunk([], usage=made["usage"])
    yield DONE
