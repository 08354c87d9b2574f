"""`/v1/chat/completions`: a question is searched for while somebody waits for the answer."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from toolbench.agent import trace
from toolbench.agent.ask import Agent, Asked, Event
from toolbench.agent.conversation import Wanted, question, wanted
from toolbench.agent.failing import Failing
from toolbench.agent.gate import Gate
from toolbench.agent.job import Job
from toolbench.records import Step
from toolbench.serving.answers import DONE, bad_request, body, event
from toolbench.serving.requests import BadRequestError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

MODEL = "toolbench-agent"
_LARGEST = 2**20
"""Bytes of a request at most."""
_PIECE = re.compile(r".{1,160}(?:\s+|$)|.{1,160}", re.DOTALL)
"""A long answer comes in parts, as some clients limit the length of a line."""
_LEFT = 499
"""The status of an answer that nobody waits for any more."""


async def chat(request: "Request", agent: Agent, gate: Gate) -> "Response":
    """The answer to one request whose key was looked at. When the client leaves, the search ends."""
    try:
        asked = wanted(await body(request, _LARGEST))
        if asked.model != MODEL:
            message = f"There is no model `{asked.model}`: this server has `{MODEL}`."
            raise BadRequestError(message, "model", "model_not_found", 404)
        wish = question(asked, agent.settings.agent.top)
    except BadRequestError as error:
        return bad_request(error)
    job = Job(agent, gate, wish, asked.toolbench.method)
    leaving = asyncio.create_task(_left(request))
    leaving.add_done_callback(lambda _: job.task.cancel())
    try:
        # An error before anything has happened gets a status of its own, which one in a stream cannot have.
        if asked.stream and await job.begun():
            return _streamed(job, asked, leaving)
        ended = await job.ended()
    except asyncio.CancelledError:
        await job.stop()
        raise
    leaving.cancel()
    return _whole(ended, asked)


async def _left(request: "Request") -> None:
    """Returns when the client has left; the body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _head(kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": MODEL}


def _usage(asked: Asked) -> dict[str, int]:
    total = asked.input_tokens + asked.output_tokens
    return {"prompt_tokens": asked.input_tokens, "completion_tokens": asked.output_tokens, "total_tokens": total}


def _reason(asked: Asked) -> str:
    return "length" if asked.outcome == "out_of_budget" else "stop"


def _whole(ended: Asked | BaseException | None, asked: Wanted) -> "Response":
    from starlette.responses import Response

    if ended is None:
        return Response(status_code=_LEFT)
    if isinstance(ended, BaseException):
        return Failing.of(ended).response()
    message: dict[str, Any] = {"role": "assistant", "content": trace.reply(ended), "refusal": None}
    if asked.toolbench.reasoning:
        message["reasoning_content"] = trace.reasoning(ended)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(ended)}
    made = {**_head("chat.completion"), "choices": [choice], "usage": _usage(ended)}
    if asked.toolbench.trace:
        made["toolbench"] = trace.whole(ended)
    # In ASCII, for half a surrogate pair cannot be sent in any other way.
    return Response(json.dumps(made), media_type="application/json")


def _streamed(job: Job, asked: Wanted, leaving: "asyncio.Task[None]") -> "Response":
    from starlette.responses import Response

    class Streamed(Response):
        """Starlette's own streaming response listens to the client, too, who can be heard only once."""

        async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for text in _chunks(job, asked):
                    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                leaving.cancel()
                await job.stop()

    made = Streamed(media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    del made.headers["content-length"]
    return made


async def _chunks(job: Job, asked: Wanted) -> AsyncIterator[str]:
    """The stream: what happens, then the answer in parts, then what is known only at the end."""
    head, more = _head("chat.completion.chunk"), asked.toolbench

    def chunk(delta: dict[str, Any], reason: str | None = None, **fields: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return event({**head, "choices": [choice], **fields})

    yield chunk({"role": "assistant", "content": ""})
    async for happened in job.events():
        if happened is None:
            yield ": still searching\n\n"
            continue
        fields: dict[str, Any] = {"toolbench": trace.event(happened)} if more.trace else {}
        delta = _thought(happened) if more.reasoning else {}
        if fields or delta:
            yield chunk(delta, **fields)
    ended = await job.ended()
    if ended is None:
        return
    if isinstance(ended, BaseException):
        yield event(Failing.of(ended).chunk())
    else:
        for piece in _PIECE.findall(trace.reply(ended)):
            yield chunk({"content": piece})
        fields = {"toolbench": trace.ending(ended)} if more.trace else {}
        yield chunk({}, _reason(ended), **fields)
        if asked.stream_options and asked.stream_options.include_usage:
            yield event({**head, "choices": [], "usage": _usage(ended)})
    yield DONE


def _thought(happened: Event) -> dict[str, str]:
    text = trace.words(happened) if isinstance(happened, Step) else ""
    return {"reasoning_content": f"{text}\n"} if text else {}
