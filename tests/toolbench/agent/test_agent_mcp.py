"""The lake's APIs as two MCP tools, asked with the official client."""

import asyncio
import dataclasses
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import mcp
import pytest
from agent_lake import APIS
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from toolbench.agent.mcp_tools import wrong

RAIN = "Weather/sky/rain"
REPOSITORY = Path(__file__).parents[3]


def asked(url: str, work: Callable[[mcp.Client], Awaitable[Any]], key: str = "", mode: str = "auto") -> Any:
    """What `work` gives with a client of the server at `url`."""

    async def scenario() -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx2.AsyncClient(headers=headers) as http:
            transport = streamable_http_client(f"{url}/mcp", http_client=http)
            async with mcp.Client(transport, mode=mode) as client:
                return await work(client)

    return asyncio.run(scenario())


def call(url: str, tool: str, arguments: Any) -> mcp.types.CallToolResult:
    return asked(url, lambda client: client.call_tool(tool, arguments))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_api_is_found_and_called(url: str, mode: str) -> None:
    async def work(client: mcp.Client) -> None:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == ["search_apis", "call_api"]
        found = await client.call_tool("search_apis", {"query": "rain in the city", "top": 3})
        apis = found.structured_content["apis"]
        assert len(apis) == 3
        assert [api["score"] for api in apis] == sorted((api["score"] for api in apis), reverse=True)
        assert apis[0]["parameters"]["required"] == ["city"]
        made = await client.call_tool("call_api", {"api": apis[0]["id"], "arguments": {"city": "Oslo"}})
        assert not made.is_error
        assert (made.structured_content["source"], made.structured_content["status"]) == ("simulated", 0)
        (text,) = made.content
        assert json.loads(text.text) == made.structured_content

    asked(url, work, mode=mode)


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("search_apis", {}, "'query' is a required property"),
        ("search_apis", {"query": "x", "top": 0}, "$.top"),
        ("search_apis", {"query": " "}, "The question is empty"),
        ("call_api", {"api": "no/such/api"}, "There is no API no/such/api: search_apis gives the ids"),
        ("call_api", {"api": RAIN}, "'city' is a required property"),
        ("call_api", {"api": RAIN, "arguments": {"city": 3}}, "$.city"),
        ("call_api", {"api": RAIN, "arguments": {"city": "Oslo", "url": ""}}, "has no parameter url; it has city"),
        ("call_api", {"api": RAIN, "arguments": "city=Oslo"}, "$.arguments"),
        ("call_api", {"api": RAIN, "arguments": {"city": "Oslo"}, "method": "DELETE"}, "method"),
    ],
    ids=["no query", "top", "empty query", "no api", "missing", "type", "unknown", "no object", "more"],
)  # fmt: skip
def test_what_cannot_be_done_is_said_to_the_model(url: str, tool: str, arguments: Any, words: str) -> None:
    made = call(url, tool, arguments)
    assert made.is_error
    assert words in made.content[0].text  # type: ignore[union-attr]


def test_a_tool_that_there_is_not_is_an_error_of_the_protocol(url: str) -> None:
    async def work(client: mcp.Client) -> None:
        with pytest.raises(mcp.MCPError, match="There is no tool run_shell"):
            await client.call_tool("run_shell", {})

    asked(url, work)


def test_only_hosts_and_methods_that_settings_name_are_called(start: Callable[..., str], place: Any) -> None:
    strict = start(apis={"chain": ("live",), "hosts": {"sky.example.org": place.teacher_url}})
    # The teacher stands for the host: it has no such path, which shows that it was asked.
    for api, source, status in ((RAIN, "live", 6), ("Weather/sea/weather", "none", 12)):
        made = call(strict, "call_api", {"api": api, "arguments": {"city": "Oslo"}})
        assert made.is_error
        assert (made.structured_content["source"], made.structured_content["status"]) == (source, status)


def test_the_key_of_the_server_is_asked_for(start: Callable[..., str]) -> None:
    keyed = start(agent={"api_keys": "sesame"})

    async def listed(client: mcp.Client) -> int:
        return len((await client.list_tools()).tools)

    assert asked(keyed, listed, key="sesame") == 2
    for key in ("", "wrong"):
        with pytest.raises(Exception):  # noqa: B017, PT011 - the client's own, in groups
            asked(keyed, listed, key=key)


def test_credentials_are_no_arguments() -> None:
    assert wrong(APIS[0], {"city": "Oslo", "X-RapidAPI-Key": "mine"}).startswith("it has no parameter X-RapidAPI-Key")
    assert wrong(APIS[0], {"city": "Oslo"}) == ""
    open_ = json.loads(APIS[0].definition)
    open_["parameters"]["additionalProperties"] = True
    assert wrong(dataclasses.replace(APIS[0], definition=json.dumps(open_)), {"city": "Oslo", "more": 1}) == ""
    bare = dataclasses.replace(APIS[0], definition='{"name": "f"}')
    assert (wrong(bare, {}), wrong(bare, {"a": 1})) == ("", "it has no parameter a; it has none")


def test_the_command_serves_over_standard_input_and_output(place: Any, tmp_path: Any) -> None:
    arguments = ["-P", "-m", "toolbench", "agent", "mcp", "--lake", place.lake.uri]
    environment = {"TOOLBENCH_APIS__CHAIN": '["simulated"]', "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    command = StdioServerParameters(command=sys.executable, args=arguments, env=environment, cwd=tmp_path)

    async def scenario() -> None:
        async with mcp.Client(stdio_client(command)) as client:
            found = await client.call_tool("search_apis", {"query": "the weather of a city", "top": 1})
            (api,) = found.structured_content["apis"]
            made = await client.call_tool("call_api", {"api": api["id"], "arguments": {"city": "Oslo"}})
            assert made.structured_content["source"] == "simulated"

    asyncio.run(asyncio.wait_for(scenario(), 120))
