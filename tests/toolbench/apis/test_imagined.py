import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from workshop import Server, an_api

from toolbench.apis import imagined
from toolbench.apis.checking import problem
from toolbench.apis.imagined import Imagined
from toolbench.apis.recorded import Recorded
from toolbench.apis.simulated import Simulated
from toolbench.errors import TransientError
from toolbench.records import Api, Response
from toolbench.settings import Settings

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer", "maximum": 60}},
    "required": ["city", "degrees"],
}
API = an_api("Sun", "rise", response_schema=json.dumps(SCHEMA))
GOOD = '{"response": {"city": "Oslo", "degrees": 7}}'


class Scripted:
    """A chat endpoint that gives these replies in turn, each for 100 and 10 tokens."""

    def __init__(self) -> None:
        self.replies: list[str | int] = []
        self.asked: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/v1/chat/completions", self._chat, methods=["POST"])])

    async def _chat(self, request: Request) -> JSONResponse:
        self.asked.append(await request.json())
        reply = self.replies.pop(0)
        if isinstance(reply, int):
            return JSONResponse({"error": {"message": "no"}}, reply)
        message = {"role": "assistant", "content": reply}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        return JSONResponse(
            {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        )


Ask = Callable[..., Response]


@pytest.fixture
def teacher() -> Iterator[tuple[Scripted, Ask]]:
    script = Scripted()
    server = Server(script.app)

    def ask(*replies: str | int, api: Api = API, recorded: Recorded | None = None, **arguments: Any) -> Response:
        script.replies, script.asked = list(replies), []
        return asked(server.url, api, recorded, arguments)

    yield script, ask
    server.stop()


def asked(url: str, api: Api, recorded: Recorded | None, arguments: dict[str, Any]) -> Response:
    prices = {"offline-teacher": (10.0, 100.0)}
    chosen = Settings(**{"seed": 3, "teacher": {"base_url": f"{url}/v1", "max_retries": 0, "prices": prices}})

    async def scenario() -> Response:
        caller = Imagined(chosen, recorded)
        response = await caller.call(api, arguments)
        await caller.close()
        assert response is not None
        return response

    return asyncio.run(scenario())


@pytest.mark.parametrize("reply", [GOOD, f"```json\n{GOOD}\n```", f"\n{GOOD} "])
def test_a_good_reply_is_the_response(teacher: tuple[Scripted, Ask], reply: str) -> None:
    script, ask = teacher
    assert ask(reply, city="Oslo") == Response(
        response={"city": "Oslo", "degrees": 7}, source="simulated", input_tokens=100, output_tokens=10, cost=0.002
    )
    (body,) = script.asked
    assert body["temperature"] == 0
    assert body["response_format"]["json_schema"]["schema"]["properties"]["response"] == SCHEMA
    told = body["messages"][-1]["content"]
    assert '"maximum": 60' in told
    assert '"city": "Oslo"' in told
    assert "answers_to_other_calls" not in told
    ask(GOOD, city="Bergen")
    assert script.asked[0]["seed"] != body["seed"]


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("Sorry, I cannot.", "not JSON"),
        (GOOD[:-5], "not JSON"),
        ('{"city": "Oslo"}', '{"response": ...}'),
        ('{"response": {"city": "Oslo"}}', "'degrees' is a required property"),
        ('{"response": {"city": "Oslo", "degrees": 61}}', "at $.degrees 61 is greater"),
        ("[" * 5000, "not JSON"),
        ("", "not JSON"),
    ],
)
def test_a_bad_reply_is_repaired_once(teacher: tuple[Scripted, Ask], bad: str, named: str) -> None:
    script, ask = teacher
    found = ask(bad, GOOD, city="Oslo")
    assert found.response == {"city": "Oslo", "degrees": 7}
    assert (found.input_tokens, found.output_tokens, found.cost) == (200, 20, 0.004)
    assert named in script.asked[1]["messages"][-1]["content"]
    assert script.asked[1]["messages"][-2] == {"role": "assistant", "content": bad}


@pytest.mark.parametrize(("replies", "tokens"), [(("no", "no"), 200), ((422,), 0), (("no", 400), 100)])
def test_rules_answer_where_the_teacher_cannot(teacher: tuple[Scripted, Ask], replies: Any, tokens: int) -> None:
    script, ask = teacher
    found = ask(*replies, city="Oslo")
    rules = asyncio.run(Simulated(3).answer(API, {"city": "Oslo"}))
    assert (found.response, found.source, found.input_tokens) == (rules.response, "simulated", tokens)
    assert not script.replies


def test_a_teacher_that_is_down_is_an_error(teacher: tuple[Scripted, Ask]) -> None:
    with pytest.raises(TransientError):
        teacher[1](503)


def test_the_teacher_sees_three_good_recorded_answers(teacher: tuple[Scripted, Ask]) -> None:
    script, ask = teacher
    calls = [({"city": f"Nr{n}"}, Response(response={"n": n})) for n in range(5)]
    calls[1] = ({"city": "Nr1"}, Response(error="gone", status=6))
    calls[2] = ({"city": "Nr2"}, Response(response="x" * 5000))
    ask(GOOD, recorded=Recorded({API.id: calls}, "d"))
    told = script.asked[0]["messages"][-1]["content"]
    assert [f"Nr{n}" in told for n in range(5)] == [True, False, True, True, False]
    assert "x" * 1999 + "…" in told
    assert "x" * 2000 not in told


@pytest.mark.parametrize(
    "schema", [None, "[]", "{", '{"type": "nonsense"}', '{"type": {}}', '{"$ref": "http://127.0.0.1:9/"}']
)
def test_a_schema_that_is_none_forbids_nothing(teacher: tuple[Scripted, Ask], schema: str | None) -> None:
    api = dataclasses.replace(API, response_schema=schema, response_example='{"n": 1}')
    assert teacher[1]('{"response": [1]}', api=api).response == [1]


def test_the_offline_teacher_answers_by_the_schema(honest_teacher: Server) -> None:
    honest_teacher.reset()
    found = asked(honest_teacher.url, API, None, {"city": "Oslo"})
    jsonschema.validate(found.response, SCHEMA)
    assert (found.source, honest_teacher.asked()) == ("simulated", 1)
    assert found.input_tokens > 0


def test_patterns_are_not_run() -> None:
    schema = {
        "properties": {"pattern": {"type": "string", "pattern": "(a+)+$"}},
        "patternProperties": {"(a+)+$": False},
    }
    assert problem({"pattern": "a" * 50 + "!", "a" * 50 + "!": 1}, schema) == ""
    assert "at $.pattern" in problem({"pattern": 1}, schema)


def test_identity_names_what_decides() -> None:
    parts = imagined.identity(Settings(), Recorded({}, "d1gest"))
    assert parts["model"] == "offline-teacher"
    assert parts["examples"] == "d1gest"
    assert len(parts["prompts"]) == 16
