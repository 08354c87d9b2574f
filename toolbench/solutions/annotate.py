"""Solution paths for the instructions of a shard: the search, with the world behind it journaled."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from toolbench.apis import identity
from toolbench.concurrency import in_order
from toolbench.dialogue import Message
from toolbench.digests import digest, seed_of
from toolbench.errors import LakeError, ToolbenchError
from toolbench.lake import Entry, Lake, Partition, Receipt, Snapshot, Spec, labels
from toolbench.records import Api, ApiCall, Instruction, Reject, Reply, Response, ResponseKeys, Solution, Tool
from toolbench.settings import Settings
from toolbench.solutions.mending import mended
from toolbench.solutions.messages import prompt_digest
from toolbench.solutions.search import SearchResult, broken_off
from toolbench.solutions.solve import solve
from toolbench.world import World, chat_identity

STAGE = "solutions"
TABLES = ("solutions", "api_calls")
VERSION = 1


def plan(lake: Lake, view: Snapshot, settings: Settings, *, partitions: Sequence[Partition]) -> list[Spec]:
    """Shard specifications for all instructions in `partitions`, each of at most `work.shard_size`.

    Raises LakeError for an instruction whose APIs are gone, SourceError if recorded responses cannot be read.
    """
    answers = identity(settings)
    keyed = view.entries(ResponseKeys.TABLE) if settings.compression.method == "keys" else []
    keys = {row.id: row.keys for row in lake.read(keyed, ResponseKeys)}
    known: dict[str | None, dict[str, str]] = {}
    specs = []
    for partition in partitions:
        # Imported instructions brought their own APIs; all others share the catalogue's.
        came_with = partition.get("instructions")
        apis = [e for e in view.entries("apis") if e.partition.get("instructions") == came_with]
        tools = [e for e in view.entries("tools") if e.partition.get("instructions") == came_with]
        if came_with not in known:
            known[came_with] = lake.digests(apis, Api) | lake.digests(tools, Tool)
        digests = known[came_with]
        # Of each chunk no more is kept than its specification says: there may be a hundred thousand instructions.
        chunks = [
            (entry, [i.id for i in chunk], digest([_content(i, digests, keys) for i in chunk]))
            for entry, chunk in _chunks(lake, view, partition, settings.work.shard_size)
        ]
        for label, (entry, records, content) in zip(labels(partition, len(chunks)), chunks, strict=True):
            specs.append(
                Spec(
                    stage=STAGE,
                    label=label,
                    partition=partition,
                    records=records,
                    content=content,
                    params={
                        "version": VERSION,
                        **chat_identity(settings),
                        "prompts": prompt_digest(),
                        "search": settings.search.model_dump(),
                        "compression": _compression(settings),
                        "apis": answers,
                        "seed": settings.seed,
                    },
                    inputs={"instructions": [entry], "apis": apis, "tools": tools, "response_keys": keyed},
                    earlier=view.shards("solutions", partition),
                    size=len(records),
                )
            )
    return specs


def _chunks(lake: Lake, view: Snapshot, partition: Partition, size: int) -> Iterator[tuple[Entry, list[Instruction]]]:
    """The instructions of each file, `size` at most at a time: a new file changes no shard but its own."""
    for entry in view.entries("instructions"):
        if entry.partition == partition:
            rows = list(lake.read([entry], Instruction))
            yield from ((entry, rows[i : i + size]) for i in range(0, len(rows), size))


def _compression(settings: Settings) -> dict[str, Any]:
    """What decides how responses are shortened, besides the keys."""
    wanted = settings.compression
    return {"method": wanted.method} | ({"max_tokens": wanted.max_tokens} if wanted.method == "keys" else {})


def _content(instruction: Instruction, digests: Mapping[str, str], keys: Mapping[str, Sequence[str]]) -> list[Any]:
    """What decides the prompts of a search: the text, the candidate APIs with the keys of their responses that matter,
    and their tools' descriptions."""
    tools = [api.rpartition("/")[0] for api in instruction.candidates]
    named = [keys.get(api, []) for api in instruction.candidates]
    try:
        return [instruction.text, instruction.split, [digests[i] for i in (*instruction.candidates, *tools)], named]
    except KeyError as missing:
        raise LakeError(
            f"Instruction {instruction.id} offers {missing}, which the catalogue no longer has: run "
            "`toolbench refresh` over the whole catalogue."
        ) from None


@dataclass(frozen=True, slots=True)
class _Found:
    solution: Solution
    calls: list[ApiCall]


class _Opens(Protocol):
    def __call__(self, lake: Lake, spec: Spec, settings: Settings, *, apis: bool = False) -> World: ...


async def annotate(
    lake: Lake, spec: Spec, settings: Settings, done: Callable[[], None], *, world: _Opens = World
) -> Receipt:
    """Work on one shard: one search for each instruction, one solution from each search, whatever its outcome.

    `world` opens what answers teacher's requests and API calls; a replay gives one that knows the journal alone.
    """
    instructions = await lake.fetch(spec.inputs["instructions"], Instruction, spec.records)
    needed = {api for i in instructions for api in i.candidates}
    apis = {a.id: a for a in await lake.fetch(spec.inputs["apis"], Api, needed)}
    tools = {t.id: t for t in await lake.fetch(spec.inputs["tools"], Tool, {a.tool_id for a in apis.values()})}
    keys = {row.id: row.keys for row in await lake.fetch(spec.inputs["response_keys"], ResponseKeys, needed)}

    async with world(lake, spec, settings, apis=True) as opened:

        async def one(instruction: Instruction) -> _Found:
            candidates = [apis[i] for i in instruction.candidates]
            return await _solve(opened, spec, settings, instruction, candidates, tools, keys)

        found = await in_order(instructions, one, limit=settings.teacher.max_concurrency, done=done)
        await opened.journal.compact()
    outcomes: dict[str, int] = {}
    for item in found:
        outcomes[item.solution.outcome] = outcomes.get(item.solution.outcome, 0) + 1
    rejects: list[Reject] = []  # every instruction ends as a solution; why it was not solved stands in its row
    return await asyncio.to_thread(
        lake.finish,
        spec,
        {Solution: [f.solution for f in found], ApiCall: [c for f in found for c in f.calls], Reject: rejects},
        taken_in=len(instructions),
        passed_on=len(found),
        usage=opened.usage,
        outcomes=outcomes,
        model=settings.teacher.model,
    )


async def _solve(
    world: World,
    spec: Spec,
    settings: Settings,
    instruction: Instruction,
    candidates: Sequence[Api],
    tools: Mapping[str, Tool],
    keys: Mapping[str, Sequence[str]],
) -> _Found:
    seed = seed_of(spec.params["seed"], instruction.id)

    replies: list[Reply] = []

    async def chat(messages: list[Message], offered: list[dict[str, Any]] | None, seed: int) -> Reply:
        replies.append(await world.chat(instruction.id, messages, seed=seed, tools=offered))
        return replies[-1]

    async def call(api: Api, arguments: str) -> Response:
        return await world.call(instruction.id, api, arguments)

    try:
        result = await solve(instruction.text, candidates, tools, settings, chat, call, seed=seed, keys=keys)
    except (ToolbenchError, OSError, MemoryError):
        raise  # no fault of the instruction's
    except Exception as error:  # one that nobody foresaw must not cost the others theirs
        reason = " ".join(mended(f"the search broke off: {type(error).__name__}: {error}").split())[:300]
        result = broken_off(reason, replies)
    return _rows(spec, instruction, settings, result, seed, {a.id: a for a in candidates})


def _rows(
    spec: Spec,
    instruction: Instruction,
    settings: Settings,
    result: SearchResult,
    seed: int,
    apis: Mapping[str, Api],
) -> _Found:
    name = digest([instruction.id, spec.digest])
    solution = Solution(
        id=name,
        instruction_id=instruction.id,
        group=instruction.group,
        category=instruction.category,
        collection=instruction.collection,
        split=instruction.split,
        method=settings.search.method,
        outcome=result.outcome,
        reason=result.reason,
        final_answer=result.final_answer,
        steps=result.steps,
        path=result.path,
        model=settings.teacher.model,
        prompt_digest=spec.params["prompts"],
        seed=seed,
        calls=result.replies,
        input_tokens=result.input_tokens,
        output_tokens=result.output_tokens,
        cost=round(result.cost, 9),
        spec=spec.digest,
    )
    calls = [
        ApiCall(
            id=f"{name}/{number}",
            solution_id=name,
            step=made.step,
            api_id=made.api_id,
            category=apis[made.api_id].category,
            arguments=made.arguments,
            status=made.response.status,
            source=made.response.source,
            error=made.response.error,
            response=json.dumps(made.response.response, ensure_ascii=False),
            spec=spec.digest,
        )
        for number, made in enumerate(result.calls)
    ]
    return _Found(solution, calls)
