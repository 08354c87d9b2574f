"""Instructions for combinations of APIs, written by the teacher (ToolLLM, section 2.2 and appendix B.1)."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from toolbench import prompts
from toolbench.concurrency import in_order
from toolbench.dialogue import json_in
from toolbench.digests import digest, draw, seed_of
from toolbench.instructions import filters
from toolbench.instructions.filters import Reason, Written
from toolbench.instructions.sampling import allocate, sample
from toolbench.lake import Lake, Receipt, Snapshot, Spec, labels
from toolbench.records import Api, Combination, Group, Instruction, Reject, Reply, Split
from toolbench.settings import Settings
from toolbench.world import World, chat_identity

STAGE = "instructions"
TABLES = ("combinations", "instructions")
VERSION = 1
"""Raised when this module would write other rows from the same specification."""

_ROOM = "toolbench.instructions"
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "instructions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "instruction": {"type": "string"},
                    "relevant_apis": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["instruction", "relevant_apis"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["instructions"],
    "additionalProperties": False,
}


def plan(
    lake: Lake, view: Snapshot, settings: Settings, *, categories: Sequence[str], collections: bool = True
) -> list[Spec]:
    """Shard specifications for the wanted number of instructions over the APIs of `categories`.

    `collections`: False leaves out I3, whose collections reach into other categories.
    """
    # APIs that came with a file of instructions are there for these alone.
    entries = [e for e in view.entries("apis") if e.partition["category"] in categories and "source" in e.partition]
    # Two sources may carry the same API; one of them is enough.
    apis = sorted({a.id: a for a in lake.read(entries, Api)}.values(), key=lambda a: a.id)
    topics = _topics(apis, settings, collections)
    combinations = -(-settings.instructions.total // settings.instructions.per_combination)
    by_group = allocate(dict.fromkeys(sorted({g for g, _ in topics}), 1), combinations)
    specs: list[Spec] = []
    for group in by_group:
        sizes = {topic: len(members) for (g, topic), members in topics.items() if g == group}
        for topic, count in allocate(sizes, by_group[group]).items():
            members = topics[group, topic]
            where = {"collection" if group == "I3" else "category": topic}
            drawn = sample(members, group, **where, seed=settings.seed)
            chosen = [c for c, _ in zip(drawn, range(count), strict=False)]
            inputs = {"apis": [e for e in entries if e.partition["category"] in {a.category for a in members}]}
            specs += _specs({"group": group, **where}, chosen, {a.id: a for a in members}, settings, inputs)
    return specs


def _topics(apis: Sequence[Api], settings: Settings, collections: bool) -> dict[tuple[Group, str], list[Api]]:
    """The APIs of every category (I1, I2) and collection (I3) that has enough tools.

    As in the paper (section 3.3) an unseen tool is met in I1 only, an unseen category in I1 and I2: one held-out tool
    among several would take the whole combination away from training.
    """
    topics: dict[tuple[Group, str], list[Api]] = {}
    for api in apis:
        keys: list[tuple[Group, str]] = [("I1", api.category)]
        if api.split != "tool":
            keys.append(("I2", api.category))
        if api.split == "train" and collections:
            keys += [("I3", collection) for collection in api.collections]
        for key in keys:
            if key[0] in settings.instructions.groups:
                topics.setdefault(key, []).append(api)
    return {
        key: members
        for key, members in sorted(topics.items())
        if key[0] == "I1" or len({a.tool_id for a in members}) >= 2
    }


def _specs(
    partition: dict[str, str],
    combinations: Sequence[Combination],
    apis: Mapping[str, Api],
    settings: Settings,
    inputs: dict[str, Any],
) -> Iterator[Spec]:
    # A shard holds about `shard_size` instructions, so fewer combinations.
    size = max(1, settings.work.shard_size // settings.instructions.per_combination)
    chunks = [combinations[i : i + size] for i in range(0, len(combinations), size)]
    for label, chunk in zip(labels(partition, len(chunks)), chunks, strict=True):
        used = sorted({api for c in chunk for api in c.apis})
        yield Spec(
            stage=STAGE,
            label=label,
            partition=partition,
            records=[c.id for c in chunk],
            content=digest({api: apis[api].digest for api in used}),
            params={
                "version": VERSION,
                **chat_identity(settings),
                "prompts": {name: prompts.load(_ROOM, name).digest for name in ("system", "task", "repair")},
                "per_combination": settings.instructions.per_combination,
                "words": [settings.instructions.min_words, settings.instructions.max_words],
                "holdout": settings.instructions.holdout,
                "seed": settings.seed,
                "combinations": [dataclasses.asdict(c) for c in chunk],
            },
            inputs=inputs,
            size=len(chunk),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Batch:
    """What one combination gave."""

    instructions: list[Instruction]
    rejects: list[Reject]


async def generate(lake: Lake, spec: Spec, settings: Settings, done: Callable[[], None]) -> Receipt:
    """Work on one shard: ask the teacher for instructions, filter them, write the rows.

    What is counted as taken in is every instruction the teacher wrote, and every combination it wrote none for.
    """
    wanted = {api for c in spec.params["combinations"] for api in c["apis"]}
    apis = {a.id: a for a in lake.read(spec.inputs["apis"], Api) if a.id in wanted}
    combinations = [Combination(**{**c, "spec": spec.digest}) for c in spec.params["combinations"]]

    async with World(lake, spec, settings) as world:

        async def one(combination: Combination) -> _Batch:
            return await _write(world, spec, combination, [apis[i] for i in combination.apis])

        batches = await in_order(combinations, one, limit=settings.teacher.max_concurrency, done=done)
        await world.journal.compact()
    kept, repeated = _without_repeats([i for b in batches for i in b.instructions], spec)
    rejects = [r for b in batches for r in b.rejects] + repeated
    return lake.finish(
        spec,
        {Combination: combinations, Instruction: kept, Reject: rejects},
        taken_in=len(kept) + len(rejects),
        passed_on=len(kept),
        usage=world.usage,
        model=settings.teacher.model,
    )


async def _write(world: World, spec: Spec, combination: Combination, apis: Sequence[Api]) -> _Batch:
    count = spec.params["per_combination"]
    task = prompts.load(_ROOM, "task").render(
        multi=combination.group != "I1", count=count, documents=json.dumps(_documents(apis, count), ensure_ascii=False)
    )
    system = prompts.load(_ROOM, "system").render()
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}, {"role": "user", "content": task}]
    seed = seed_of(spec.params["seed"], combination.id)
    replies = [await world.chat(combination.id, messages, seed=seed, schema=("instructions", _SCHEMA))]
    found = _parse(replies[0])
    if isinstance(found, str) and not replies[0].error:
        repair = prompts.load(_ROOM, "repair").render(problem=found)
        messages += [{"role": "assistant", "content": replies[0].content or ""}, {"role": "user", "content": repair}]
        replies.append(await world.chat(combination.id, messages, seed=seed, schema=("instructions", _SCHEMA)))
        found = _parse(replies[1])
    if isinstance(found, str):
        reason = "no_reply" if replies[-1].error else "malformed_reply"
        return _Batch([], [_reject(spec, combination, 0, (reason, found), replies[-1].content or "")])
    return _sort(spec, combination, apis, found, replies)


def _documents(apis: Sequence[Api], count: int) -> dict[str, Any]:
    """What the teacher reads about the APIs; credentials are left out."""
    documents = [
        {
            "name": api.function,
            "tool": api.tool,
            "category": api.category,
            "description": json.loads(api.definition)["description"],
            "parameters": [
                {"name": p.shown_as, "type": p.type, "required": p.required, "description": p.description}
                | ({"default": json.loads(p.default)} if p.default is not None else {})
                for p in api.parameters
                if not p.secret
            ],
        }
        for api in apis
    ]
    return {"apis": documents, "count": count}


def _parse(reply: Reply) -> list[Written] | str:
    """The instructions in a reply, or what is wrong with it."""
    if reply.error:
        return reply.error
    try:
        found = json_in(reply.content)
    except ValueError as error:
        return f"the reply is not valid JSON ({error})"
    items = found.get("instructions") if isinstance(found, dict) else found
    if not isinstance(items, list) or not items:
        return 'the reply has no list "instructions"'
    written = []
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("instruction"), str):
            return 'an item of "instructions" has no text "instruction"'
        names = item.get("relevant_apis")
        names = [n for n in names if isinstance(n, str)] if isinstance(names, list) else []
        written.append(Written(" ".join(item["instruction"].split()), list(dict.fromkeys(names))))
    return written


def _sort(
    spec: Spec, combination: Combination, apis: Sequence[Api], found: Sequence[Written], replies: Sequence[Reply]
) -> _Batch:
    """Accepted instructions and rejects, each accepted one with its share of the tokens."""
    candidates = {api.function: api for api in apis}
    shortest, longest = spec.params["words"]
    batch = _Batch([], [])
    for number, written in enumerate(found):
        reason = (
            filters.length(written, shortest, longest)
            or filters.relevant_apis(written, candidates)
            or filters.several_tools(written, candidates, combination.group)
            or filters.names_an_api(written, candidates)
        )
        if reason:
            batch.rejects.append(_reject(spec, combination, number, reason, written.text))
            continue
        name = digest([combination.id, written.text])
        batch.instructions.append(
            Instruction(
                id=name,
                group=combination.group,
                category=combination.category,
                collection=combination.collection,
                combination_id=combination.id,
                text=written.text,
                candidates=combination.apis,
                relevant=[candidates[n].id for n in written.relevant],
                split=_split(combination.split, name, spec.params["holdout"]),
                model=replies[-1].model,
                prompt_digest=spec.params["prompts"]["task"],
                seed=seed_of(spec.params["seed"], combination.id),
                input_tokens=_share(sum(r.input_tokens for r in replies), len(found), number),
                output_tokens=_share(sum(r.output_tokens for r in replies), len(found), number),
                cost=round(sum(r.cost for r in replies) / len(found), 9),
                spec=spec.digest,
            )
        )
    return batch


def _split(of_combination: Split, name: str, share: float) -> Split:
    if of_combination != "train":
        return of_combination
    return "instruction" if draw("instruction", name) < share else "train"


def _share(total: int, count: int, number: int) -> int:
    return total // count + (number < total % count)


def _reject(spec: Spec, combination: Combination, number: int, reason: Reason, text: str) -> Reject:
    return Reject(
        id=digest([STAGE, combination.id, number]),
        stage=STAGE,
        record_id=f"{combination.id}#{number}",
        reason=reason[0],
        detail=reason[1],
        group=combination.group,
        category=combination.category,
        collection=combination.collection,
        payload=json.dumps({"instruction": text, "apis": combination.apis}, ensure_ascii=False),
        spec=spec.digest,
    )


def _without_repeats(instructions: Iterable[Instruction], spec: Spec) -> tuple[list[Instruction], list[Reject]]:
    """The first of every set of equal texts; the others are rejects."""
    kept: dict[str, Instruction] = {}
    rejects: list[Reject] = []
    for item in instructions:
        first = kept.setdefault(filters.normalised(item.text), item)
        if first is not item:
            rejects.append(
                Reject(
                    id=digest([STAGE, "repeat", item.combination_id, item.id, len(rejects)]),
                    stage=STAGE,
                    record_id=item.id,
                    reason="duplicate",
                    detail=f"The same text as instruction {first.id}.",
                    group=item.group,
                    category=item.category,
                    collection=item.collection,
                    payload=json.dumps({"instruction": item.text, "apis": item.candidates}, ensure_ascii=False),
                    spec=spec.digest,
                )
            )
    return list(kept.values()), rejects
