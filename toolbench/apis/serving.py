"""Our APIs over the POST protocol of ToolBench's and StableToolBench's tool servers, as a Starlette application."""

import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from toolbench.apis.chain import Chain
from toolbench.apis.values import read_json
from toolbench.apis.wording import ERRORS, by_shown_name, server_names
from toolbench.errors import ToolbenchError
from toolbench.records import Api, Response

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response as Answer

Find = Callable[[str, str, str], Api | None]
"""The API that a category's, a tool's and an API's name mean, as a client spells them."""
Shorten = Callable[[Api, Any], Any]
"""A response reduced to what matters."""

PATHS = ("/virtual", "/rapidapi")
_FIELDS = ("category", "tool_name", "api_name", "tool_input", "strip", "toolbench_key")
_MAX_BODY = 1_000_000
_TRUNCATED = 2048
"""Characters that strip `truncate` leaves of a response, as ToolBench's server does."""
_AS_THEY_CAME = ("recorded", "server")
"""Sources whose envelopes are in those servers' words already."""


def create_app(
    chain: Chain, apis: Iterable[Api], find: Find, *, key: str = "", shorten: Shorten | None = None
) -> "Starlette":
    """The application: POST `/virtual` and `/rapidapi`, GET `/health` and `/apis`. It closes the chain in the end.

    With a `key`, calls have to carry it as `toolbench_key`. Without `shorten`, strip `filter` cuts as `truncate` does.
    No request stops the server.
    """
    from starlette.applications import Starlette
    from starlette.responses import Response as Answer
    from starlette.routing import Route

    listed = [_listed(api) for api in apis]

    @asynccontextmanager
    async def lifespan(_: "Starlette") -> AsyncIterator[None]:
        async with chain:
            yield

    def said(value: Any, code: int = 200) -> "Answer":
        # In ASCII, for half a surrogate pair cannot be sent in any other way.
        return Answer(json.dumps(value), code, media_type="application/json")

    async def call(request: "Request") -> "Answer":
        code, answer = await _answer(request, chain, find, key, shorten)
        return said(answer, code)

    async def health(_: "Request") -> "Answer":
        return said({"status": "ok", "apis": len(listed)})

    async def index(_: "Request") -> "Answer":
        return said(listed)

    routes = [Route(path, call, methods=["POST"]) for path in PATHS]
    routes += [Route("/health", health), Route("/apis", index)]
    return Starlette(routes=routes, lifespan=lifespan)


async def _answer(
    request: "Request", chain: Chain, find: Find, key: str, shorten: Shorten | None
) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of the answer to one request."""
    body = await _body(request)
    if body is None:
        return 413, _envelope(ERRORS[2], f"A request has at most {_MAX_BODY} bytes")
    try:
        query = read_json(body)
    except ValueError:
        query = None
    missing = [name for name in _FIELDS if not isinstance(query, dict) or name not in query]
    if missing:
        return 422, {"detail": [{"loc": ["body", name], "msg": "field required"} for name in missing]}
    if key and not hmac.compare_digest(str(query["toolbench_key"]).encode("utf-8", "replace"), key.encode()):
        return 401, _envelope(ERRORS[7])
    api = find(*(str(query[name]) for name in _FIELDS[:3]))
    if api is None:
        return 200, _envelope(ERRORS[1], "There is no such API; GET /apis lists them")
    arguments = _arguments(query["tool_input"])
    if arguments is None:
        return 200, _envelope(ERRORS[2])
    return 200, await _called(chain, api, arguments, str(query["strip"] or ""), shorten)


async def _called(
    chain: Chain, api: Api, arguments: dict[str, Any], strip: str, shorten: Shorten | None
) -> dict[str, Any]:
    try:
        found = await chain.call(api, json.dumps(by_shown_name(api.parameters, arguments)))
    except ToolbenchError as error:
        return _envelope(ERRORS[12], str(error))
    envelope = worded(found)
    if strip == "filter" and shorten is not None:
        return _envelope(envelope["error"], shorten(api, envelope["response"]))
    if strip in ("truncate", "filter"):
        return _envelope(envelope["error"], _cut(envelope["response"]))
    return envelope


def worded(found: Response) -> dict[str, Any]:
    """The envelope in those servers' words: their clients know statuses by the exact text of the error.

    What the error was in our words stands where the response would.
    """
    if not found.status or found.source in _AS_THEY_CAME:
        return _envelope(found.error, found.response)
    return _envelope(ERRORS.get(found.status, ERRORS[11]), found.error or found.response)


async def _body(request: "Request") -> bytes | None:
    """The body; None if it is too large."""
    from starlette.requests import ClientDisconnect

    data = bytearray()
    with suppress(ClientDisconnect):  # nobody reads the answer then
        async for chunk in request.stream():
            data += chunk
            if len(data) > _MAX_BODY:
                return None
    return bytes(data)


def _arguments(given: Any) -> dict[str, Any] | None:
    """The tool input as an object; None if it is none. Empty text means no arguments."""
    try:
        values = read_json(given or "{}") if isinstance(given, str) else given
    except ValueError:
        return None
    values = {} if values is None else values
    return values if isinstance(values, dict) else None


def _cut(response: Any) -> Any:
    """The response's text up to the limit; what is short enough stays what it is."""
    text = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
    return response if len(text) <= _TRUNCATED else text[:_TRUNCATED]


def _envelope(error: str, response: Any = "") -> dict[str, Any]:
    return {"error": error, "response": response}


def _listed(api: Api) -> dict[str, str]:
    category, tool, name = server_names(api)
    return {"category": category, "tool_name": tool, "api_name": name, "function": api.function}
