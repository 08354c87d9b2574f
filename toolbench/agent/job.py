"""One question on its way to an answer: a task of its own, so that it can be stopped from outside."""

import asyncio
from collections.abc import AsyncIterator

from toolbench.agent.ask import Agent, Asked, Event, Question
from toolbench.agent.gate import Gate

SILENCE = 15.0
"""Seconds without an event after which `events` says so."""


class Job:
    """Starts at once; waits for its turn at the gate."""

    def __init__(self, agent: Agent, gate: Gate, question: Question, method: str | None) -> None:
        self._told: asyncio.Queue[Event | None] = asyncio.Queue()
        self._first: list[Event | None] = []
        self.task = asyncio.create_task(self._work(agent, gate, question, method))
        # None: there is nothing more to come.
        self.task.add_done_callback(lambda _: self._told.put_nowait(None))

    async def _work(self, agent: Agent, gate: Gate, question: Question, method: str | None) -> Asked:
        async with gate.turn():
            seconds = agent.settings.agent.seconds
            return await agent.ask(question, method=method, seconds=seconds, tell=self._told.put_nowait)

    async def begun(self) -> bool:
        """Waits until something happens; False if that is the end."""
        self._first = [await self._told.get()]
        return self._first[0] is not None

    async def events(self) -> AsyncIterator[Event | None]:
        """What happens until the end; None after a while in which nothing did."""
        while True:
            try:
                event = self._first.pop() if self._first else await asyncio.wait_for(self._told.get(), SILENCE)
            except TimeoutError:
                yield None
                continue
            if event is None:
                return
            yield event

    async def ended(self) -> Asked | BaseException | None:
        """What it came to, or why it failed; None if it was stopped."""
        await asyncio.wait((self.task,))
        if self.task.cancelled():
            return None
        return self.task.exception() or self.task.result()

    async def stop(self) -> None:
        """Ends the search if it goes on, and waits until it has ended."""
        self.task.cancel()
        await self.ended()
