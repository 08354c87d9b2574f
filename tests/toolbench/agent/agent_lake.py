"""A small lake to ask, and a teacher that says what it is told to."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from workshop import a_tool, an_api

from toolbench.documents import document
from toolbench.lake import Draft, Lake, Snapshot, Spec
from toolbench.records import Api, Tool
from toolbench.retriever import MODEL, Encoder, Index

APIS = [an_api("Sky", "rain"), an_api("Sea", "weather"), an_api("Songs", "lyrics"), an_api("Taxes", "income")]


def laid(lake: Lake, base: str, folder: Path, apis: list[Api], gone: tuple[Api, ...] = ()) -> Snapshot:
    """A lake with these APIs and an untrained retriever over them, and over some that the catalogue has lost."""
    spec = Spec(stage="test", label="", partition={"category": "Weather"}, records=[], content="x", params={})
    tools = list({api.tool_id: a_tool(api) for api in apis}.values())
    draft = Draft()
    draft.add([lake.finish(spec, {Api: apis, Tool: tools}, taken_in=0, passed_on=0)], ("apis", "tools"))
    encoder = Encoder.load(base)
    known = [*apis, *gone]
    encoder.save(folder)
    Index([a.id for a in known], encoder.encode([document(a) for a in known])).save(folder / "index")
    draft.models[MODEL] = lake.put_model(MODEL, "spec", folder, {})
    return lake.publish(draft, "test")


def until(true: Callable[[], bool]) -> None:
    """Waits until something is so; fails after a while."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def under_way(url: str) -> tuple[int, int]:
    """How many questions the server works on, and how many wait."""
    said = httpx.get(f"{url}/health").json()
    return said["working"], said["waiting"]


def ending(url: str) -> int:
    """How many questions the server knows that nobody waits for any more, and sees the reply under way come."""
    return int(httpx.get(f"{url}/health").json()["ending"])


def calling(function: str, arguments: Any, thought: str | None = None) -> dict[str, Any]:
    """A reply that calls a function."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    call = {"id": "call00001", "type": "function", "function": {"name": function, "arguments": text}}
    return {"role": "assistant", "content": thought, "tool_calls": [call]}


def answering(answer: str, thought: str | None = None) -> dict[str, Any]:
    """A reply that ends the task."""
    return calling("Finish", {"return_type": "give_answer", "final_answer": answer}, thought)


def giving_up(thought: str | None = None) -> dict[str, Any]:
    """A reply that gives up."""
    return calling("Finish", {"return_type": "give_up_and_restart"}, thought)


RAIN = calling("rain_for_sky", {"city": "Oslo"}, "I look at the sky.")
FINE = answering("It will rain in Oslo.", "That is enough.")


ALL = 1 << 30


class Held:
    """An application whose chat requests are answered up to the `allowed`-th only; the others wait."""

    def __init__(self, app: Any) -> None:
        self.app, self.came, self.allowed = app, 0, ALL

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/chat/completions"):
            self.came += 1
            number = self.came
            while number > self.allowed:
                await asyncio.sleep(0.01)
        await self.app(scope, receive, send)


class Scripted(Held):
    """A chat endpoint that gives one reply after the other, and the last one for ever; it remembers what was asked."""

    def __init__(self) -> None:
        super().__init__(Starlette(routes=[Route("/v1/chat/completions", self._chat, methods=["POST"])]))
        self.replies: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.delay = 0.0

    def says(self, *replies: dict[str, Any], delay: float = 0.0, allowed: int = ALL) -> None:
        """From now on, `delay` seconds after each question."""
        self.replies, self.asked, self.delay = list(replies), [], delay
        self.came, self.allowed = 0, allowed

    async def _chat(self, request: Request) -> JSONResponse:
        body = await request.json()
        at = min(len(self.asked), len(self.replies) - 1)
        self.asked.append(body)
        await asyncio.sleep(self.delay)
        message = self.replies[at]
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        choice = {"index": 0, "message": message, "finish_reason": reason}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        return JSONResponse(
            {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        )
