"""What the model is shown of a response, and what the result keeps of it."""

import asyncio
import json
from typing import Any

import pytest
from workshop import a_tool, an_api

from toolbench import tokens
from toolbench.apis.compress import compress
from toolbench.dialogue import FINISH, Message
from toolbench.records import FunctionCall, Reply, Response
from toolbench.settings import Settings
from toolbench.solutions import SearchResult, solve

API = an_api("Sky", "Forecast")
LONG = {"days": [{"date": f"2024-01-{n:02d}", "rain": n, "icon": "cloud" * 9} for n in range(1, 29)], "unit": "mm"}


def solved(settings: Settings, *responses: Response, keys: dict[str, list[str]] | None = None) -> SearchResult:
    """A search whose model makes a call for each response and then answers; what it was shown stands in its steps."""
    waiting, turns = list(responses), len(responses)

    async def chat(messages: list[Message], offered: list[dict[str, Any]] | None, seed: int) -> Reply:
        done = sum(m["role"] == "tool" for m in messages)
        arguments = {"return_type": "give_answer", "final_answer": "Rain."} if done == turns else {"city": f"c{done}"}
        name = FINISH if done == turns else API.function
        return Reply(calls=[FunctionCall(id="c", name=name, arguments=json.dumps(arguments))])

    async def call(api: Any, arguments: str) -> Response:
        return waiting.pop(0)

    tools = {API.tool_id: a_tool(API)}
    return asyncio.run(solve("Rain in Oslo?", [API], tools, settings, chat, call, seed=1, keys=keys))


def shown(result: SearchResult) -> list[str]:
    return [step.observation or "" for step in result.steps if step.api_id]


def test_long_responses_are_shown_by_their_keys_and_kept_in_full() -> None:
    settings = Settings().with_(compression={"max_tokens": 200})
    responses = [Response(response=LONG, source="live"), Response(response={"rain": 1}), Response(response=LONG)]
    result = solved(settings, *responses, keys={API.id: ["days[].rain"]})
    assert [made.response for made in result.calls] == responses
    expected = [compress(LONG, ["days[].rain"], 200), {"rain": 1}, compress(LONG, ["days[].rain"], 200)]
    assert [json.loads(text) for text in shown(result)] == [{"error": "", "response": r} for r in expected]
    assert set(expected[0]) == {"days"}
    assert [step.source for step in result.steps if step.api_id] == ["live", "none", "none"]


def test_nothing_that_was_shortened_is_cut_again() -> None:
    words = "some words " * 5000
    result = solved(Settings(), Response(response=words))
    (text,) = shown(result)
    assert len(text) > Settings().search.max_observation
    assert json.loads(text)["response"] == compress(words, (), 2048)
    assert 1900 < tokens.count(text) < 2100


def test_a_long_error_is_shortened_as_well() -> None:
    result = solved(Settings().with_(compression={"max_tokens": 50}), Response(error="no such city " * 500, status=11))
    (text,) = shown(result)
    assert json.loads(text)["error"].endswith(" more characters")
    assert tokens.count(text) < 70


def test_truncation_is_toolbenchs_own() -> None:
    settings = Settings().with_(compression={"method": "truncate"}, search={"max_observation": 100})
    response = Response(response=LONG)
    result = solved(settings, response, keys={API.id: ["days[].rain"]})
    assert shown(result) == [response.envelope[:100] + "..."]
    assert [made.response for made in result.calls] == [response]


@pytest.mark.parametrize("method", ["keys", "truncate"])
def test_half_a_surrogate_pair_is_mended_in_what_is_shown_and_kept(method: str) -> None:
    result = solved(Settings().with_(compression={"method": method}), Response(response={"sky": "\ud83d"}))
    assert [json.loads(text)["response"] for text in shown(result)] == [{"sky": "\ufffd"}]
    assert result.calls[0].response.response == {"sky": "\ufffd"}


def test_a_teacher_without_tool_calling_reads_the_functions_in_its_prompt_and_writes_text() -> None:
    asked: list[tuple[list[Message], list[dict[str, Any]] | None]] = []
    replies = [
        f'Thought: Look it up.\nAction: {API.function}\nAction Input: {{"city": "Oslo"}}\nObservation: sun, surely',
        'Thought: Rain.\nAction: Finish\nAction Input: {"return_type": "give_answer", "final_answer": "Rain."}',
    ]

    async def chat(messages: list[Message], offered: list[dict[str, Any]] | None, seed: int) -> Reply:
        asked.append((messages, offered))
        return Reply(content=replies[len(asked) - 1])

    async def call(api: Any, arguments: str) -> Response:
        return Response(response={"city": json.loads(arguments)["city"], "rain": 4})

    settings = Settings().with_(search={"text_format": True})
    result = asyncio.run(solve("Rain in Oslo?", [API], {API.tool_id: a_tool(API)}, settings, chat, call, seed=1))
    assert (result.outcome, result.final_answer) == ("solved", "Rain.")
    assert [offered for _, offered in asked] == [None, None]
    assert all(name in asked[0][0][0]["content"] for name in (API.function, FINISH))
    assert [m["role"] for m in asked[1][0]][2:] == ["assistant", "user"]
    assert "Observation: " in asked[1][0][-1]["content"]
    assert '"rain": 4' in asked[1][0][-1]["content"]
    assert "sun, surely" not in asked[1][0][-2]["content"]
