"""The search for one instruction, as settings ask for it: its candidate APIs, and the world as two functions."""

import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from toolbench.apis.compress import compress
from toolbench.dialogue import Message
from toolbench.digests import canonical, seed_of
from toolbench.records import Api, Reply, Response, Tool
from toolbench.settings import Settings
from toolbench.solutions.mending import mended_response
from toolbench.solutions.messages import Task
from toolbench.solutions.rules import Rules, preset
from toolbench.solutions.search import SearchResult, Tell, search, untold

Chat = Callable[[list[Message], list[dict[str, Any]] | None, int], Awaitable[Reply]]
"""Messages, tools and the request's seed to a reply."""

CallApi = Callable[[Api, str], Awaitable[Response]]
"""An API and the arguments' text to a response."""

_UNCUT = 1 << 30
"""Characters of an observation that nothing is cut from: what is too long was shortened before."""


async def solve(
    instruction: str,
    candidates: Sequence[Api],
    tools: Mapping[str, Tool],
    settings: Settings,
    chat: Chat,
    call: CallApi,
    *,
    seed: int,
    keys: Mapping[str, Sequence[str]] | None = None,
    context: str = "",
    tell: Tell = untold,
) -> SearchResult:
    """Searches for an answer to `instruction` with `candidates`, whose functions' names differ; `tools` has their tools
    by id. Every request gets a seed of its own, drawn from `seed`.

    `keys`: by API id, the keys of its responses that matter. The model is shown responses as settings shorten them; the
    calls of the result have them in full. `context`: what else the model is told, see `Task`.

    What `chat` and `call` raise passes through.
    """
    by_function = {api.function: api for api in candidates}
    task = Task(
        instruction=instruction,
        definitions=[json.loads(api.definition) for api in candidates],
        functions={api.function: api.id for api in candidates},
        tools=list({a.tool_id: (a.tool, tools[a.tool_id].description) for a in candidates}.values()),
        context=context,
        seed=seed,
    )

    in_full: list[Response] = []  # in the order of the result's calls: a search makes one call after the other

    async def ask(messages: list[Message], offered: list[dict[str, Any]] | None, turn: int) -> Reply:
        return await chat(messages, offered, seed_of(seed, turn))

    async def answer(function: str, arguments: dict[str, Any] | str) -> Response:
        text = arguments if isinstance(arguments, str) else canonical(arguments)
        api = by_function[function]
        # Half a surrogate pair, which JSON can spell, fits into no URL.
        response = mended_response(await call(api, text.encode("utf-8", "replace").decode()))
        in_full.append(response)
        return shown(response, (keys or {}).get(api.id, ()), settings)

    result = await search(task, ask, answer, _rules(settings), tell)
    calls = [dataclasses.replace(made, response=full) for made, full in zip(result.calls, in_full, strict=True)]
    return dataclasses.replace(result, calls=calls)


def shown(response: Response, keys: Sequence[str], settings: Settings) -> Response:
    """A response as the model sees it, but for the cut that the search makes."""
    if settings.compression.method == "truncate":
        return response
    most = settings.compression.max_tokens
    return dataclasses.replace(
        response, error=compress(response.error, (), most), response=compress(response.response, keys, most)
    )


def _rules(settings: Settings) -> Rules:
    wanted = settings.search
    return preset(
        "default",
        method=wanted.method,
        width=wanted.width,
        max_depth=wanted.max_depth,
        max_calls=wanted.max_calls,
        tries=wanted.tries,
        text_format=wanted.text_format,
        max_observation_length=wanted.max_observation if settings.compression.method == "truncate" else _UNCUT,
    )
