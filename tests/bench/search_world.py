"""What `search_quality.py` searches in: the demo hub, questions whose answers are known, APIs that fail on purpose.

A question is written by the offline teacher's writer, which says for each relevant API what arguments it put into the
words. The hub's honest response to these arguments is the truth that an answer is held against: no judge is needed, and
nothing that a search did decides what counts as right.
"""

import asyncio
import re
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import uvicorn

from toolbench import catalogue, instructions
from toolbench.apis import Chain, open_chain
from toolbench.demo import HOST, create_app
from toolbench.digests import canonical, digest, draw
from toolbench.instructions import filters
from toolbench.instructions.prompting import documents
from toolbench.instructions.written import Written
from toolbench.lake import Draft, Lake
from toolbench.records import Api, Combination, Response, Tool
from toolbench.settings import Settings
from toolbench.teacher.offline.observe import observation
from toolbench.teacher.offline.write import instructions as write

_A_COMBINATION = 3
"""Questions written for one combination of APIs."""

_FAILURES = (
    Response(error='HTTP 500: {"message": "Internal Server Error"}', status=6, source="live"),
    Response(error='HTTP 503: {"message": "Service Unavailable"}', status=6, source="live"),
    Response(error='HTTP 429: {"message": "Too many requests"}', status=9, source="live"),
    Response(error="The call timed out", status=5, source="live"),
)
_BROKEN = (
    Response(error='HTTP 404: {"message": "Endpoint does not exist"}', status=6, source="live"),
    Response(error='HTTP 401: {"message": "Invalid API key"}', status=7, source="live"),
    Response(error='HTTP 403: {"message": "You are not subscribed to this API."}', status=8, source="live"),
)


@dataclass(frozen=True, slots=True)
class Question:
    """An instruction with its candidate APIs; `facts`: for each relevant API the values of which an answer has one."""

    id: str
    group: str
    text: str
    candidates: tuple[Api, ...]
    facts: tuple[frozenset[str], ...]


class World:
    """The hub's honest responses, each asked for once (unless `forgetful`), and failures laid over them."""

    def __init__(self, chain: Chain, tools: Mapping[str, Tool], forgetful: bool = False) -> None:
        self.tools, self.chain = tools, chain
        self._known: dict[tuple[str, str], Response] = {}
        self._forgetful = forgetful

    async def honest(self, api: Api, arguments: str) -> Response:
        """What the hub says."""
        if self._forgetful or (api.id, arguments) not in self._known:
            self._known[api.id, arguments] = await self.chain.call(api, arguments)
        return self._known[api.id, arguments]

    async def call(self, api: Api, arguments: str, rate: float, key: str, lasting: bool = False) -> Response:
        """What a search is told: with chance `rate`, drawn from `key` alone, a failure.

        The draw does not know the rate, so that what fails at 15% fails at 30%, too. `lasting`: the error is one that
        will not pass.
        """
        if draw(key, "fails") < rate:
            kinds = _BROKEN if lasting else _FAILURES
            return kinds[int(draw(key, "how") * len(kinds))]
        return await self.honest(api, arguments)


@asynccontextmanager
async def world(count: int) -> AsyncIterator[tuple[World, list[Question]]]:
    """The world and `count` questions, a third of each group where there are so many."""
    # Without the hub's misbehaving APIs: what fails is decided here alone.
    with served(create_app(misbehave=False)) as url, tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            lake=f"{folder}/lake",
            seed=7,
            catalogue={"source": f"http://{HOST}/index.json"},
            apis={"chain": ("live",), "hosts": {HOST: {"connect": url, "methods": ["POST"], "rate": 0}}, "retries": 0},
        )
        lake = Lake(settings.lake)
        draft = Draft()
        draft.add((await asyncio.to_thread(catalogue.collect, lake, settings))[0], catalogue.TABLES)
        view = lake.publish(draft, "bench")
        apis = {api.id: api for api in lake.rows(view, Api)}
        categories = sorted({e.partition["category"] for e in view.entries("apis")})
        drawn, _ = instructions.preview(lake, view, settings, categories=categories, count=count)
        async with open_chain(settings) as chain:
            made = World(chain, {tool.id: tool for tool in lake.rows(view, Tool)})
            yield made, await _questions(made, apis, drawn, count)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of an application on a free loopback port, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    # asyncio sets this only on sockets that know their protocol; without it an answer comes 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


async def _questions(made: World, apis: Mapping[str, Api], drawn: Sequence[Combination], count: int) -> list[Question]:
    """Questions that pass the factory's filters and whose truth the hub tells, the groups in turn."""
    groups: dict[str, list[Question]] = {}
    for combination in drawn:
        candidates = {apis[i].function: apis[i] for i in combination.apis}
        block = documents(list(candidates.values()), _A_COMBINATION)
        for text in write(block, Random(combination.id)):
            written = Written(text.instruction, list(text.relevant))
            if filters.check(written, candidates, combination.group, shortest=5, longest=200, language="English"):
                continue
            facts = [
                facts_of(await made.honest(candidates[name], canonical(dict(values))), text.instruction)
                for name, values in text.values.items()
            ]
            if all(facts):
                name = digest([combination.id, text.instruction])
                question = Question(name, combination.group, text.instruction, tuple(candidates.values()), tuple(facts))
                groups.setdefault(combination.group, []).append(question)
    turns = [q for i in range(count) for group in sorted(groups) for q in groups[group][i : i + 1]]
    return sorted(turns[:count], key=lambda q: q.id)


def facts_of(response: Response, asked: str) -> frozenset[str]:
    """The values of a response, without those that the question holds itself if there are others."""
    seen = observation(response.envelope)
    if response.status or not seen.ok:
        return frozenset()
    known = _said(asked)
    facts = {_normal(value) for _, value in seen.leaves} or {_normal(seen.text)}
    new = {f for f in facts if f not in known and (_is_number(f) or f not in asked.lower())}
    return frozenset((new or facts) - {""})


def right(question: Question, answer: str, observed: Sequence[Response]) -> bool:
    """Whether the search has observed at least half of the facts of every relevant API in one response each, and the
    answer tells one of them. `observed`: the responses of the search's API calls."""
    seen = [facts_of(response, question.text) for response in observed]
    low, said = " ".join(answer.lower().split()), _said(answer)
    return all(
        any(2 * len(facts & of_call) >= len(facts) for of_call in seen)
        and any(fact in said or (not _is_number(fact) and fact in low) for fact in facts)
        for facts in question.facts
    )


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def _said(text: str) -> set[str]:
    """The numbers and words of a text, as `_normal` writes values."""
    low = text.lower()
    return {_normal(float(n)) for n in _NUMBER.findall(low)} | set(re.findall(r"\w+", low))


def _is_number(fact: str) -> bool:
    return _NUMBER.fullmatch(fact) is not None


def _normal(value: Any) -> str:
    """A value as it is compared: numbers to six digits, texts in small letters and as far as an answer tells them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and not _is_number(value.lower()):
        return " ".join(value.lower().split())[:80].strip(" .…")
    number = float(value)
    return f"{number:.6g}"
