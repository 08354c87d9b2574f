"""Ask a question with no APIs given: retrieve, then search."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from toolbench.agent.retrieve import Retrieved, Retriever, check, retriever
from toolbench.apis import open_chain
from toolbench.dialogue import Message
from toolbench.digests import seed_of
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Outcome, Reply, Response, Step
from toolbench.settings import Settings
from toolbench.solutions import SearchResult, shown, solve
from toolbench.solutions.mending import mended_response
from toolbench.teacher import Teacher

T = TypeVar("T")

Event = Retrieved | Step
"""What happens, as it happens: first each retrieved API, best first; then the steps of the search, each call before it
is made and again, with the same id, once it has its observation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody wants to know."""

    text: str
    top: int = 5
    """APIs that the retriever proposes."""
    before: str = ""
    """What the user said last, for the retriever."""
    context: str = ""
    """What was said before, as the model is shown it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a question came to."""

    outcome: Outcome
    reason: str
    """Why there is no answer; empty when it was solved."""
    answer: str
    """Empty unless solved."""
    retrieved: list[Retrieved]
    """The APIs offered to the model, best first."""
    steps: list[Step]
    """The decision tree; the root is first."""
    path: list[int]
    """Step ids from below the root to the end of the chosen path; empty if none was chosen."""
    replies: int = 0
    """Replies the model gave."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    """US dollars, by the price table in settings."""


class _SoFar:
    """What is known of a question while it is worked on."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self.tell = tell
        self.retrieved: list[Retrieved] = []
        self.steps: dict[int, Step] = {0: Step(id=0, parent=-1, turn=0, depth=0)}
        self.replies: list[Reply] = []

    def note(self, event: Event) -> None:
        if isinstance(event, Step):
            self.steps[event.id] = event
        else:
            self.retrieved.append(event)
        self.tell(event)

    def asked(self, seconds: float) -> Asked:
        """What there is when the time is over."""
        return Asked(
            outcome="out_of_budget",
            reason=f"no answer within {seconds:g} seconds",
            answer="",
            retrieved=self.retrieved,
            steps=list(self.steps.values()),
            path=[],
            replies=len(self.replies),
            input_tokens=sum(reply.input_tokens for reply in self.replies),
            output_tokens=sum(reply.output_tokens for reply in self.replies),
            cost=sum(reply.cost for reply in self.replies),
        )


class Agent:
    """Answers questions: `async with Agent(retriever, settings) as agent:`, for one event loop.

    Raises SourceError if recorded responses cannot be read, UsageError if the tool server's URL is none.
    """

    def __init__(self, retriever: Retriever, settings: Settings) -> None:
        self.retriever, self.settings = retriever, settings
        self._chain = open_chain(settings)
        self._teacher = Teacher(settings.teacher)

    async def __aenter__(self) -> "Agent":
        return self

    async def __aexit__(self, *failure: object) -> None:
        try:
            await self._chain.__aexit__(*failure)
        finally:
            await self._teacher.__aexit__(None, None, None)

    async def ask(
        self,
        question: Question,
        *,
        method: str | None = None,
        seconds: float | None = None,
        tell: Callable[[Event], None] = lambda event: None,
    ) -> Asked:
        """Answer by a search over the APIs that the retriever proposes; `method` in place of the one in settings.

        After `seconds` the search is stopped. If the caller is cancelled it is stopped, too: a reply under way may
        still come, but the model is asked nothing more. Raises UsageError, LakeError as `Retriever.find` does,
        TeacherError, TransientError or BudgetError if the model cannot be asked.
        """
        so_far = _SoFar(tell)
        settings = self.settings if method is None else self.settings.with_(search={"method": method})
        found = await _within(seconds, self._search(question, settings, so_far))
        if found is None:
            return so_far.asked(seconds or 0)
        return Asked(
            outcome=found.outcome,
            reason=found.reason,
            answer=found.final_answer,
            retrieved=so_far.retrieved,
            steps=found.steps,
            path=found.path,
            replies=found.replies,
            input_tokens=found.input_tokens,
            output_tokens=found.output_tokens,
            cost=found.cost,
        )

    async def call(self, api: Api, arguments: str) -> Response:
        """The response to one call, shortened as a model is shown it; the chain of sources decides who answers."""
        response = mended_response(await self._chain.call(api, arguments))
        return shown(response, self.retriever.keys.get(api.id, ()), self.settings)

    async def _search(self, question: Question, settings: Settings, so_far: _SoFar) -> SearchResult:
        # In a thread: encoding takes a while, and others share the loop.
        found = await asyncio.to_thread(self.retriever.find, question.text, question.top, question.before)
        for one in found:
            so_far.note(one)
        apis = [one.api for one in found]
        known = self.retriever

        async def chat(messages: list[Message], offered: list[dict[str, Any]] | None, seed: int) -> Reply:
            reply = await self._teacher.send(self._teacher.request(messages, seed=seed, tools=offered))
            so_far.replies.append(reply)
            return reply

        return await solve(
            question.text,
            apis,
            {api.tool_id: known.tools[api.tool_id] for api in apis},
            settings,
            chat,
            self._chain.call,
            seed=seed_of(settings.seed, question.text),
            keys=known.keys,
            context=question.context,
            tell=so_far.note,
        )


async def ask(
    lake: Lake,
    snapshot: Snapshot,
    question: str,
    settings: Settings,
    *,
    top: int = 5,
    tell: Callable[[Event], None],
) -> Asked:
    """Answer one question with the `top` APIs that the retriever of `snapshot` proposes, by the search in `settings`.

    Nothing is written to the lake. Raises ToolbenchError as `retriever` does, and what `Agent` raises.
    """
    check(question, top)
    with ExitStack() as stack:
        # In a thread: loading takes seconds, and others may share the loop.
        known = await asyncio.to_thread(stack.enter_context, retriever(lake, snapshot))
        async with Agent(known, settings) as agent:
            return await agent.ask(Question(text=question, top=top), tell=tell)


async def _within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` gives, or None if it took too long.

    Not asyncio.timeout: a request under way swallows a first cancellation to see its reply come, see
    `toolbench.teacher.finishing`.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task,), timeout=seconds)
        return task.result() if task.done() else None
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
