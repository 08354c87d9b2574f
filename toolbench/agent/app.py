"""The agent's server: chat completions, MCP and a page, behind one guard and one key."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbench.agent.ask import Agent
from toolbench.agent.chat import MODEL, chat
from toolbench.agent.gate import Gate
from toolbench.agent.guard import Guard
from toolbench.agent.mcp_tools import mcp_server
from toolbench.serving.answers import failure, unauthorised
from toolbench.serving.answers import model as described
from toolbench.serving.answers import models as listed
from toolbench.serving.listening import check_address, listen

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

KEYS = "TOOLBENCH_AGENT__API_KEYS"
_PAGE = Path(__file__).parent / "page"
_CORS = ("authorization", "content-type", "mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name")


def create_app(agent: Agent, host: str = "127.0.0.1") -> "Starlette":
    """The application: `/v1/chat/completions`, `/v1/models`, `/mcp`, `/health`, and the page at `/`.

    The agent is open as long as it runs. `host`: the address it listens on, which is a name of it as well.
    """
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.responses import FileResponse, JSONResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    limits = agent.settings.agent
    keys = keys_of(limits.api_keys.get_secret_value())
    gate = Gate(limits.concurrency, limits.queue)
    tools = StreamableHTTPSessionManager(mcp_server(agent), json_response=True, stateless=True)
    about = {**described(MODEL), "toolbench": _about(agent)}

    @asynccontextmanager
    async def lifespan(_: "Starlette") -> AsyncIterator[None]:
        async with agent, tools.run():
            yield

    async def completions(request: "Request") -> "Response":
        return unauthorised(request, keys) or await chat(request, agent, gate)

    async def models(request: "Request") -> "Response":
        return unauthorised(request, keys) or JSONResponse({**listed(), "data": [about]})

    async def model(request: "Request") -> "Response":
        name = request.path_params["name"]
        there = JSONResponse(about) if name == MODEL else _no_model(name)
        return unauthorised(request, keys) or there

    async def health(_: "Request") -> "Response":
        busy = {"working": gate.working, "ending": gate.ending, "waiting": gate.waiting}
        return JSONResponse({"status": "ok", "key": bool(keys), **busy})

    async def page(_: "Request") -> "Response":
        return FileResponse(_PAGE / "index.html")

    origins = list(limits.origins)
    methods = ["GET", "POST", "DELETE"]
    cors = Middleware(CORSMiddleware, allow_origins=origins, allow_methods=methods, allow_headers=_CORS)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", completions, methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/models/{name}", model),
            Route("/health", health),
            Route("/mcp", Keyed(tools.handle_request, keys)),
            Route("/", page),
            Mount("/page", StaticFiles(directory=_PAGE)),
        ],
        exception_handlers={404: _not_there, 405: _not_there},
        middleware=[Middleware(Guard, (host, *limits.hosts), origins), *([cors] if origins else [])],
        lifespan=lifespan,
    )


def serve(agent: Agent, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve until interrupted. `port` 0 takes a free one; `ready` is told the port once connections are taken.

    Raises UsageError if the address cannot be bound, or others could reach it without a key.
    """
    check_address(host, bool(keys_of(agent.settings.agent.api_keys.get_secret_value())), KEYS)
    listen(create_app(agent, host), host, port, ready)


def keys_of(text: str) -> tuple[str, ...]:
    """Keys separated by commas."""
    return tuple(key.strip() for key in text.split(",") if key.strip())


class Keyed:
    """An application that is reached with a key only."""

    def __init__(self, app: "ASGIApp", keys: tuple[str, ...]) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Starlette's way to call an application."""
        from starlette.requests import Request

        await (unauthorised(Request(scope), self._keys) or self._app)(scope, receive, send)


def _about(agent: Agent) -> dict[str, Any]:
    """What the page shows of the agent."""
    return {
        "snapshot": agent.retriever.snapshot,
        "apis": len(agent.retriever.apis),
        "top": agent.settings.agent.top,
        "method": agent.settings.search.method,
        "teacher": agent.settings.teacher.model,
    }


async def _not_there(request: "Request", error: Exception) -> "Response":
    status = getattr(error, "status_code", 404)
    message = f"There is nothing at {request.url.path} for {request.method}: see /v1/chat/completions, /mcp and /."
    return failure(status, message, "invalid_request_error", "not_found", headers=getattr(error, "headers", None))


def _no_model(name: str) -> "Response":
    message = f"There is no model `{name}`: this server has `{MODEL}`."
    return failure(404, message, "invalid_request_error", "model_not_found", "model")
