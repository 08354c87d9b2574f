"""A small lake to ask, and a teacher that says what it is told to."""

import asyncio
import json
from pathlib import Path
from typing import Any

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


class Scripted:
    """A chat endpoint that gives one reply after the other, and the last one for ever; it remembers what was asked."""

    def __init__(self) -> None:
        self.replies: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.delay = 0.0
        self.status = 200
        self.app = Starlette(routes=[Route("/v1/chat/completions", self._chat, methods=["POST"])])

    def says(self, *replies: dict[str, Any], delay: float = 0.0, status: int = 200) -> None:
        """From now on."""
        self.replies, self.asked, self.delay, self.status = list(replies), [], delay, status

    async def _chat(self, request: Request) -> JSONResponse:
        body = await request.json()
        at = min(len(self.asked), len(self.replies) - 1)
        self.asked.append(body)
        await asyncio.sleep(self.delay)
        if self.status != 200:
            return JSONResponse({"error": {"message": "no"}}, self.status)
        message = self.replies[at]
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        choice = {"index": 0, "message": message, "finish_reason": reason}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        return JSONResponse(
            {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        )
