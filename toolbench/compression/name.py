"""The keys of an API's responses that matter, named by the teacher (ToolLLM, section 2.1): per API, once."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolbench import prompts
from toolbench.apis.compress import paths
from toolbench.apis.recorded import load
from toolbench.compression import examples
from toolbench.compression.examples import Example
from toolbench.concurrency import in_order
from toolbench.dialogue import json_in
from toolbench.digests import digest, seed_of
from toolbench.errors import LakeError
from toolbench.lake import Entry, Lake, Partition, Receipt, Snapshot, Spec, labels
from toolbench.records import Api, Reject, Reply, ResponseKeys
from toolbench.settings import Settings
from toolbench.world import World, chat_identity

STAGE = "compression"
TABLES = ("response_keys",)
VERSION = 1
"""Raised when this module would write other rows from the same specification."""

_ROOM = "toolbench.compression"
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"keys": {"type": "array", "items": {"type": "string"}}},
    "required": ["keys"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class _Work:
    """An API whose keys are wanted, and the responses to name them by."""

    api: Api
    examples: list[Example]


def plan(lake: Lake, view: Snapshot, settings: Settings, *, categories: Sequence[str]) -> list[Spec]:
    """Shard specifications for the APIs of `categories` with a response that is too long; none if settings truncate.

    Examples are recorded and documented responses, else responses that searches got. With these an API that was worked
    on once keeps the examples it had, and APIs stay in the shards they were in: what was asked is not asked again.
    Raises SourceError if recorded responses cannot be read.
    """
    if settings.compression.method != "keys":
        return []
    recorded = load(settings.catalogue.responses) if settings.catalogue.responses else None
    limit, most = settings.compression.max_tokens, settings.compression.examples
    called = examples.called(lake, view, limit, most)
    specs: list[Spec] = []
    seen: set[str] = set()
    for partition, entries in _partitions(view, categories):
        before = _before(lake, view, partition)
        had = {api: past for spec in before for api, past in spec.params["apis"].items()}
        wanted: dict[str, _Work] = {}
        for api in sorted(lake.read(entries, Api), key=lambda a: a.id):
            found = examples.known(api, recorded, limit, most)
            if not found and api.id in had and had[api.id]["digest"] == api.digest:
                found = had[api.id]["examples"]
            found = found or called.get(api.id, [])
            if found and api.id not in seen:  # two sources may carry the same API; one of them is enough
                wanted[api.id] = _Work(api, found)
                seen.add(api.id)
        specs += _specs(partition, list(_groups(wanted, before, settings.work.shard_size)), settings, entries, before)
    return specs


def _partitions(view: Snapshot, categories: Sequence[str]) -> Iterator[tuple[Partition, list[Entry]]]:
    """The partitions of `apis` in some categories. APIs that came with a file of instructions are left to that file."""
    found = [e for e in view.entries("apis") if e.partition["category"] in categories and "source" in e.partition]
    for partition in sorted({json.dumps(e.partition, sort_keys=True) for e in found}):
        yield json.loads(partition), [e for e in found if e.partition == json.loads(partition)]


def _before(lake: Lake, view: Snapshot, partition: Partition) -> list[Spec]:
    """The specifications behind the rows and rejects that a partition has; those that are gone are left out."""
    entries = [e for e in view.entries(ResponseKeys.TABLE) if e.partition == partition]
    entries += [e for e in view.entries(Reject.TABLE) if e.partition == {**partition, "stage": STAGE}]
    found = []
    for name in sorted({e.spec for e in entries}):
        try:
            found.append(lake.spec(f"specs/{STAGE}/{name}.json"))
        except LakeError:
            continue
    return sorted((s for s in found if s.params["version"] == VERSION), key=lambda s: s.records)


def _groups(wanted: Mapping[str, _Work], before: Sequence[Spec], size: int) -> Iterator[list[_Work]]:
    """The APIs in the shards they were in, then the new ones, `size` a shard."""
    left = dict(wanted)
    for spec in before:
        stayed = [left.pop(api) for api in spec.records if api in left]
        if stayed:
            yield stayed
    new = list(left.values())
    yield from (new[i : i + size] for i in range(0, len(new), size))


def _specs(
    partition: Partition,
    groups: Sequence[Sequence[_Work]],
    settings: Settings,
    entries: list[Entry],
    before: Sequence[Spec],
) -> Iterator[Spec]:
    for label, group in zip(labels(partition, len(groups)), groups, strict=True):
        apis = {work.api.id: {"digest": work.api.digest, "examples": work.examples} for work in group}
        yield Spec(
            stage=STAGE,
            label=label,
            partition=partition,
            records=[work.api.id for work in group],
            content=digest(apis),
            params={
                "version": VERSION,
                **chat_identity(settings, temperature=0),
                "prompts": {name: prompts.load(_ROOM, name).digest for name in ("system", "task", "repair")},
                "seed": settings.seed,
                "apis": apis,
            },
            inputs={"apis": entries},
            earlier=[spec.digest for spec in before],
            size=len(group),
        )


async def name_keys(lake: Lake, spec: Spec, settings: Settings, done: Callable[[], None]) -> Receipt:
    """Work on one shard: ask the teacher about each API, check that what it names exists, write the rows.

    Raises TeacherError, TransientError, LakeError.
    """
    apis = {a.id: a for a in await lake.fetch(spec.inputs["apis"], Api)}
    if gone := next((name for name in spec.records if name not in apis), None):
        raise LakeError(f"API {gone} is no longer in the catalogue: run compress-responses again.")
    works = [_Work(apis[name], spec.params["apis"][name]["examples"]) for name in spec.records]

    async with World(lake, spec, settings, independent=True) as world:

        async def one(work: _Work) -> ResponseKeys | Reject:
            return await _ask(world, spec, work)

        found = await in_order(works, one, limit=world.at_once(settings.teacher.max_concurrency), done=done)
        await world.journal.compact()
    rows = [row for row in found if isinstance(row, ResponseKeys)]
    return await asyncio.to_thread(
        lake.finish,
        spec,
        {ResponseKeys: rows, Reject: [row for row in found if isinstance(row, Reject)]},
        taken_in=len(works),
        passed_on=len(rows),
        usage=world.usage,
        model=settings.teacher.model,
    )


async def _ask(world: World, spec: Spec, work: _Work) -> ResponseKeys | Reject:
    case = {"api": examples.documentation(work.api), "responses": work.examples}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": prompts.load(_ROOM, "system").render()},
        {"role": "user", "content": prompts.load(_ROOM, "task").render(case=json.dumps(case, ensure_ascii=False))},
    ]
    seed = seed_of(spec.params["seed"], work.api.id)

    async def chat() -> Reply:
        return await world.chat(work.api.id, messages, seed=seed, schema=("keys", _SCHEMA), temperature=0)

    replies = [await chat()]
    keys, reason, problem = _keys(replies[0], work.examples)
    if reason and not replies[0].error:
        repair = prompts.load(_ROOM, "repair").render(problem=problem)
        messages += [{"role": "assistant", "content": replies[0].content or ""}, {"role": "user", "content": repair}]
        replies.append(await chat())
        keys, reason, problem = _keys(replies[1], work.examples)
    if reason:
        return _reject(spec, work.api, reason, problem, replies[-1].content or "")
    return ResponseKeys(
        id=work.api.id,
        category=work.api.category,
        keys=keys,
        examples=len(work.examples),
        model=replies[-1].model,
        prompt_digest=spec.params["prompts"]["task"],
        seed=seed,
        input_tokens=sum(r.input_tokens for r in replies),
        output_tokens=sum(r.output_tokens for r in replies),
        cost=round(sum(r.cost for r in replies), 9),
        spec=spec.digest,
    )


def _keys(reply: Reply, shown: Sequence[Example]) -> tuple[list[str], str, str]:
    """The keys in a reply that an example has; else the code and the sentence of what is wrong with it."""
    if reply.error:
        return [], "no_reply", reply.error
    try:
        found = json_in(reply.content)
    except ValueError as error:
        return [], "malformed_reply", f"the reply is not valid JSON ({error})"
    named = found.get("keys") if isinstance(found, dict) else found
    if not isinstance(named, list) or not all(isinstance(key, str) for key in named):
        return [], "malformed_reply", 'the reply has no list of texts "keys"'
    there = {path for example in shown for path in paths(example)}
    # `tags[]` and `tags` are the same.
    plain = (key if key in there else key.removesuffix("[]") for key in named)
    keys = [key for key in dict.fromkeys(plain) if key in there]
    return keys, "" if keys else "no_keys", "" if keys else "none of the keys is in a response"


def _reject(spec: Spec, api: Api, reason: str, detail: str, text: str) -> Reject:
    return Reject(
        id=digest([STAGE, api.id]),
        stage=STAGE,
        record_id=api.id,
        reason=reason,
        detail=detail,
        category=api.category,
        payload=json.dumps({"reply": text}, ensure_ascii=False),
        spec=spec.digest,
    )
