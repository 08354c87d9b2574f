"""The outside world as one shard sees it: the teacher and the APIs, behind the shard's journal."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

from toolbench import night
from toolbench.apis import Chain, open_chain
from toolbench.lake import Journal, Lake, Spec, Usage
from toolbench.records import Api, FunctionCall, Reply, Response
from toolbench.settings import Settings
from toolbench.teacher import Teacher
from toolbench.teacher.batches import BatchTeacher

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods of which the same call twice is the same as once (RFC 9110, 9.2.1)."""
_OF_THE_MOMENT = (5, 6, 9, 10, 12)
"""Status codes after which the same call may be answered better: timeouts, 5xx (which share theirs with 404), too many
requests, nothing sent."""


class World:
    """`async with World(lake, spec, settings) as world:` gives journaled access to the teacher and the APIs.

    An answer that the journal has is replayed; any other is asked for once and written within a second.
    """

    def __init__(
        self, lake: Lake, spec: Spec, settings: Settings, *, apis: bool = False, independent: bool = False
    ) -> None:
        """`independent`: requests to the teacher mostly do not wait for each other's replies, so that they may be
        batched where settings say so. Raises BudgetError when the time of the run is up, LakeError."""
        self.journal = Journal(lake, spec.digest, earlier=spec.earlier)
        self._teacher = Teacher(settings.teacher)
        self._batched = BatchTeacher(settings.teacher, lake.store) if independent and settings.teacher.batch else None
        self._chain: Chain | None = open_chain(settings) if apis else None
        self._stack = AsyncExitStack()
        night.check_time(lake, settings)
        self.usage = Usage()
        """What the shard has used so far, replayed answers included."""

    async def __aenter__(self) -> "World":
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._teacher)
            if self._chain:
                await stack.enter_async_context(self._chain)
            if self._batched:
                await self._batched.enter()
                stack.push_async_callback(self._leave_batches, self._batched)
            await stack.enter_async_context(self.journal)
            self._stack = stack.pop_all()  # a journal that cannot be read leaves no connection open
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def _leave_batches(self, batched: BatchTeacher) -> None:
        await batched.leave(saved=self.journal.saved)

    def at_once(self, usually: int) -> int:
        """How many records to work on at once: all of them where requests are batched, so that one batch holds them."""
        return sys.maxsize if self._batched else usually

    async def chat(
        self,
        record: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        tools: Sequence[Mapping[str, Any]] | None = None,
        schema: tuple[str, Mapping[str, Any]] | None = None,
        temperature: float | None = None,
    ) -> Reply:
        """The teacher's reply on behalf of `record`. Raises TeacherError, TransientError, LakeError."""
        body = self._teacher.request(messages, seed=seed, tools=tools, schema=schema, temperature=temperature)

        async def ask() -> Any:
            batched = self._batched
            return dataclasses.asdict(await (batched.send(record, body) if batched else self._teacher.send(body)))

        answer = await self.journal.answer(record, "chat", body, ask)
        calls = [FunctionCall(**call) for call in answer.pop("calls")]
        reply = Reply(**answer, calls=calls)
        self.usage += Usage(
            calls=1, input_tokens=reply.input_tokens, output_tokens=reply.output_tokens, cost=reply.cost
        )
        return reply

    async def call(self, record: str, api: Api, arguments: str) -> Response:
        """The response to one API call on behalf of `record`.

        Equal calls of a method that changes nothing are made once in the shard; all are given the same response. Its
        source is who answered the one call, so that no row depends on who came first.
        """
        if (chain := self._chain) is None:
            raise RuntimeError("this shard was opened without APIs")

        async def ask() -> Any:
            return dataclasses.asdict(await chain.call(api, arguments))

        fit = _for_others if api.method.upper() in SAFE else None
        request = [api.id, api.digest, arguments]
        response = Response(**await self.journal.answer(record, "api", request, ask, fit=fit))
        if response.input_tokens or response.output_tokens:  # a teacher made it up
            self.usage += Usage(
                calls=1,
                input_tokens=response.input_tokens,
                output_tokens=response.output_tokens,
                cost=response.cost,
            )
        return response


def _for_others(answer: dict[str, Any]) -> dict[str, Any] | None:
    """What another record is answered, which pays nothing again; None if the answer was a failure of the moment."""
    if answer["status"] in _OF_THE_MOMENT:
        return None
    if not (answer["input_tokens"] or answer["output_tokens"] or answer["cost"]):
        return answer
    return {**answer, "input_tokens": 0, "output_tokens": 0, "cost": 0.0}


def chat_identity(settings: Settings, *, temperature: float | None = None) -> dict[str, Any]:
    """What decides the teacher's replies besides the messages: part of a shard's specification.

    Prices are not: what a reply cost is a fact of the day it was paid for, and a new price list must not pay it again.
    """
    return {
        "model": settings.teacher.model,
        "temperature": settings.teacher.temperature if temperature is None else temperature,
        "max_output_tokens": settings.teacher.max_output_tokens,
    }
