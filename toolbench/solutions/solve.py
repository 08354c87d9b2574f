"""The search for one instruction, as settings ask for it: its candidate APIs, and the world as two functions."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from toolbench.dialogue import Message
from toolbench.digests import canonical, seed_of
from toolbench.records import Api, Reply, Response, Tool
from toolbench.settings import Settings
from toolbench.solutions.messages import Task
from toolbench.solutions.rules import Rules, preset
from toolbench.solutions.search import SearchResult, Tell, search, untold

Chat = Callable[[list[Message], list[dict[str, Any]] | None, int], Awaitable[Reply]]
"""Messages, tools and the request's seed to a reply."""

CallApi = Callable[[Api, str], Awaitable[Response]]
"""An API and the arguments' text to a response."""


async def solve(
    instruction: str,
    candidates: Sequence[Api],
    tools: Mapping[str, Tool],
    settings: Settings,
    chat: Chat,
    call: CallApi,
    *,
    seed: int,
    tell: Tell = untold,
) -> SearchResult:
    """Searches for an answer to `instruction` with `candidates`, whose functions' names differ; `tools` has their tools
    by id. Every request gets a seed of its own, drawn from `seed`.

    What `chat` and `call` raise passes through.
    """
    by_function = {api.function: api for api in candidates}
    task = Task(
        instruction=instruction,
        definitions=[json.loads(api.definition) for api in candidates],
        functions={api.function: api.id for api in candidates},
        tools=list({a.tool_id: (a.tool, tools[a.tool_id].description) for a in candidates}.values()),
        seed=seed,
    )

    async def ask(messages: list[Message], offered: list[dict[str, Any]] | None, turn: int) -> Reply:
        return await chat(messages, offered, seed_of(seed, turn))

    async def answer(function: str, arguments: dict[str, Any] | str) -> Response:
        text = arguments if isinstance(arguments, str) else canonical(arguments)
        # Half a surrogate pair, which JSON can spell, fits into no URL.
        return await call(by_function[function], text.encode("utf-8", "replace").decode())

    return await search(task, ask, answer, _rules(settings), tell)


def _rules(settings: Settings) -> Rules:
    wanted = settings.search
    return preset(
        "default",
        method=wanted.method,
        width=wanted.width,
        max_depth=wanted.max_depth,
        max_calls=wanted.max_calls,
        tries=wanted.tries,
        max_observation_length=wanted.max_observation,
    )
