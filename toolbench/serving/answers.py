"""OpenAI's shapes of what a server sends: errors, models, chunks of a stream; and how it asks for a key."""

import hmac
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toolbench.serving.requests import BadRequestError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

DONE = "data: [DONE]\n\n"
"""Ends a stream."""


def failure(
    status: int,
    message: str,
    kind: str,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> "Response":
    """An error as OpenAI's clients read it."""
    from starlette.responses import JSONResponse

    return JSONResponse({"error": told(message, kind, code, param)}, status, headers=dict(headers or {}))


def told(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The error itself, as it also stands in a stream."""
    return {"message": message, "type": kind, "param": param, "code": code}


def bad_request(error: BadRequestError) -> "Response":
    """The answer to a request that cannot be served."""
    return failure(error.status, str(error), "invalid_request_error", error.code, error.param)


def unauthorised(request: "Request", keys: Sequence[str]) -> "Response | None":
    """The refusal of a request that carries none of `keys` as bearer token; None if it may go on, or there are none."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ").strip().encode("latin-1")
    # All are compared, so that the time taken tells nothing.
    if not keys or sum(hmac.compare_digest(given, key.encode()) for key in keys):
        return None
    return failure(
        401,
        "The API key is wrong or missing: send the one the server was started with.",
        "invalid_request_error",
        "invalid_api_key",
        headers={"WWW-Authenticate": "Bearer"},
    )


def models(*names: str) -> dict[str, Any]:
    """The list of models."""
    return {"object": "list", "data": [model(name) for name in names]}


def model(name: str) -> dict[str, Any]:
    """One model."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "toolbench"}


def event(value: Mapping[str, Any]) -> str:
    """A server-sent event; in ASCII, for half a surrogate pair cannot be sent in any other way."""
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n"


async def body(request: "Request", most: int) -> bytes:
    """The request's body. Raises BadRequestError if it has more than `most` bytes, or the client left meanwhile."""
    from starlette.requests import ClientDisconnect

    parts, size = [], 0
    try:
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > most:
                raise BadRequestError(f"The request has more than {most} bytes.", status=413)
    except ClientDisconnect:
        raise BadRequestError("The request ended before it was complete.") from None
    return b"".join(parts)
