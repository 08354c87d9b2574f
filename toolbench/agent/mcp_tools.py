"""The lake's APIs as an MCP server with two tools: one finds APIs, the other calls one."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

from toolbench import __version__
from toolbench.agent.ask import Agent
from toolbench.agent.failing import Failing
from toolbench.agent.gate import FullError, Gate
from toolbench.agent.trace import proposed
from toolbench.apis.checking import problem
from toolbench.errors import ToolbenchError
from toolbench.records import Api
from toolbench.settings import AgentSettings

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp_types import CallToolResult

SEARCH, CALL = "search_apis", "call_api"
_MOST = 50
_CALLS_A_QUESTION = 4
"""A question of the agent makes about so many calls: so many more of them may run and wait."""
_SEARCH_INPUT = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "What an API is wanted for, in plain words."},
        "top": {"type": "integer", "minimum": 1, "maximum": _MOST, "description": "APIs at most; 5 if left out."},
    },
    "required": ["query"],
    "additionalProperties": False,
}
_CALL_INPUT = {
    "type": "object",
    "properties": {
        "api": {"type": "string", "description": f"The id of an API, as {SEARCH} gives it."},
        "arguments": {"type": "object", "description": "Its arguments, as its `parameters` describe them."},
    },
    "required": ["api"],
    "additionalProperties": False,
}
_SAID = {"type": "string"}
_SEARCH_OUTPUT = {"type": "object", "properties": {"apis": {"type": "array"}}, "required": ["apis"]}
_CALL_OUTPUT = {
    "type": "object",
    "properties": {"api": _SAID, "source": _SAID, "status": {"type": "integer"}, "error": _SAID, "response": {}},
}
_HOW = (
    f"Real web APIs. Find the ones that suit with {SEARCH}, then call one with {CALL}. `source` says who answered: "
    "live is the API itself, recorded an earlier answer of it, server a tool server, simulated an invented one."
)


class RefusedError(Exception):
    """A call of a tool that cannot be carried out; the sentence is for the model that made it."""


def mcp_server(agent: Agent) -> "Server[Any]":
    """The server, for any transport; the agent has to be open while it runs."""
    from mcp.server import Server
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

    gate = _gate(agent.settings.agent)

    async def listed(_: Any, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=_tools())

    async def called(_: Any, params: CallToolRequestParams) -> CallToolResult:
        return await _carried_out(agent, gate, params.name, params.arguments or {})

    return Server("toolbench", version=__version__, instructions=_HOW, on_list_tools=listed, on_call_tool=called)


def wrong(api: Api, arguments: dict[str, Any]) -> str:
    """What is wrong with the arguments of a call, by the function's definition; empty if nothing is.

    Names that it does not have are wrong as well: among them would be those of credentials.
    """
    shape = json.loads(api.definition).get("parameters") or {}
    named = shape.get("properties") or {}
    unknown = [] if shape.get("additionalProperties") else [name for name in arguments if name not in named]
    if unknown:
        return f"it has no parameter {', '.join(unknown)}; it has {', '.join(named) or 'none'}"
    return problem(arguments, shape)


def _gate(limits: AgentSettings) -> Gate:
    return Gate(_CALLS_A_QUESTION * limits.concurrency, _CALLS_A_QUESTION * limits.queue)


def _tools() -> list[Any]:
    from mcp_types import Tool, ToolAnnotations

    return [
        Tool(
            name=SEARCH,
            description="Find the APIs that suit a purpose, best first, each with its id, parameters and score.",
            input_schema=_SEARCH_INPUT,
            output_schema=_SEARCH_OUTPUT,
            annotations=ToolAnnotations(read_only_hint=True),
        ),
        Tool(
            name=CALL,
            description="Call one API and see what it answers. Only hosts and methods that the server's settings allow "
            "are called; long answers are shortened.",
            input_schema=_CALL_INPUT,
            output_schema=_CALL_OUTPUT,
            annotations=ToolAnnotations(open_world_hint=True),
        ),
    ]


async def _carried_out(agent: Agent, gate: Gate, tool: str, arguments: dict[str, Any]) -> "CallToolResult":
    from mcp import MCPError
    from mcp_types import INVALID_PARAMS, CallToolResult, TextContent

    work = {SEARCH: (_search, _SEARCH_INPUT), CALL: (_call, _CALL_INPUT)}
    if tool not in work:
        raise MCPError(INVALID_PARAMS, f"There is no tool {tool}: there are {SEARCH} and {CALL}.")
    does, shape = work[tool]
    try:
        if objection := problem(arguments, shape):
            raise RefusedError(f"The arguments of {tool} are wrong: {objection}.")
        async with gate.turn():
            found = await does(agent, arguments)
    except (RefusedError, FullError) as error:
        return CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True)
    except ToolbenchError as error:
        return CallToolResult(content=[TextContent(type="text", text=Failing.of(error).message)], is_error=True)
    text = json.dumps(found, ensure_ascii=False)
    failed = bool(found.get("status"))
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=found, is_error=failed)


async def _search(agent: Agent, arguments: dict[str, Any]) -> dict[str, Any]:
    top = arguments.get("top", agent.settings.agent.top)
    found = await asyncio.to_thread(agent.retriever.find, arguments["query"], top)
    return {"apis": [{**proposed(one), "parameters": _parameters(one.api)} for one in found]}


async def _call(agent: Agent, arguments: dict[str, Any]) -> dict[str, Any]:
    name, values = arguments["api"], arguments.get("arguments", {})
    api = agent.retriever.apis.get(name)
    if api is None:
        raise RefusedError(f"There is no API {name}: {SEARCH} gives the ids of those that there are.")
    if objection := wrong(api, values):
        raise RefusedError(f"The arguments of {name} are wrong: {objection}.")
    response = await agent.call(api, json.dumps(values))
    return {
        "api": api.id,
        "source": response.source,
        "status": response.status,
        "error": response.error,
        "response": response.response,
    }


def _parameters(api: Api) -> Any:
    return json.loads(api.definition).get("parameters") or {}


async def over_stdio(agent: Agent) -> None:
    """Serves one client over standard input and output, until it closes them."""
    from mcp.server.stdio import stdio_server

    server = mcp_server(agent)
    async with agent, stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())
