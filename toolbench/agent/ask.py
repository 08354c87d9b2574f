"""Ask a question with no APIs given: retrieve, then search."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toolbench.agent.retrieve import Retrieved, retrieve
from toolbench.apis import open_chain
from toolbench.dialogue import Message
from toolbench.digests import seed_of
from toolbench.lake import Lake, Snapshot
from toolbench.records import Outcome, Reply, ResponseKeys, Step, Tool
from toolbench.settings import Settings
from toolbench.solutions import solve
from toolbench.teacher import Teacher

Event = Retrieved | Step
"""What happens, as it happens: first each retrieved API, best first; then the steps of the search, each call before it
is made and again, with the same id, once it has its observation."""


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


async def ask(
    lake: Lake,
    snapshot: Snapshot,
    question: str,
    settings: Settings,
    *,
    top: int = 5,
    tell: Callable[[Event], None],
) -> Asked:
    """Answer `question` with the `top` APIs that the retriever of `snapshot` proposes, by the search in `settings`.

    Nothing is written to the lake. Raises ToolbenchError as `retrieve` does, SourceError if recorded responses cannot
    be read, TeacherError or TransientError if the model cannot be asked.
    """
    # In a thread: loading and encoding take seconds, and others may share the loop.
    retrieved = await asyncio.to_thread(retrieve, lake, snapshot, question, top)
    for found in retrieved:
        tell(found)
    apis = [found.api for found in retrieved]
    tools = {tool.id: tool for tool in lake.pick(snapshot, Tool, "id", {api.tool_id for api in apis})}
    keys = {row.id: row.keys for row in lake.pick(snapshot, ResponseKeys, "id", {api.id for api in apis})}
    async with Teacher(settings.teacher) as teacher, open_chain(settings) as chain:

        async def chat(messages: list[Message], offered: list[dict[str, Any]] | None, seed: int) -> Reply:
            return await teacher.send(teacher.request(messages, seed=seed, tools=offered))

        seed = seed_of(settings.seed, question)
        result = await solve(question, apis, tools, settings, chat, chain.call, seed=seed, keys=keys, tell=tell)
    return Asked(
        outcome=result.outcome,
        reason=result.reason,
        answer=result.final_answer,
        retrieved=retrieved,
        steps=result.steps,
        path=result.path,
    )
