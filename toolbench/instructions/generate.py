"""Instructions for combinations of APIs, written by the teacher (ToolLLM, section 2.2 and appendix B.1)."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from toolbench import prompts
from toolbench.concurrency import in_order
from toolbench.dialogue import json_in
from toolbench.digests import digest, draw, seed_of
from toolbench.instructions import filters, judging, prompting
from toolbench.instructions.filters import Reason, Written
from toolbench.instructions.planning import STAGE
from toolbench.lake import Lake, Receipt, Spec
from toolbench.records import Api, Combination, Instruction, Reject, Reply, Split
from toolbench.settings import Settings
from toolbench.world import World

TABLES = ("combinations", "instructions")

_ROOM = "toolbench.instructions"
_JUDGED = 1000
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
    apis = {a.id: a for a in await lake.fetch(spec.inputs["apis"], Api, wanted)}
    combinations = [Combination(**{**c, "spec": spec.digest}) for c in spec.params["combinations"]]

    async with World(lake, spec, settings, independent=True) as world:

        async def one(combination: Combination) -> _Batch:
            return await _write(world, spec, combination, [apis[i] for i in combination.apis])

        batches = await in_order(combinations, one, limit=world.at_once(settings.teacher.max_concurrency), done=done)
        await world.journal.compact()
    kept, repeated = _without_repeats([i for b in batches for i in b.instructions], spec)
    rejects = [r for b in batches for r in b.rejects] + repeated
    return await asyncio.to_thread(
        lake.finish,
        spec,
        {Combination: combinations, Instruction: kept, Reject: rejects},
        taken_in=len(kept) + len(rejects),
        passed_on=len(kept),
        usage=world.usage,
        model=settings.teacher.model,
    )


async def _write(world: World, spec: Spec, combination: Combination, apis: Sequence[Api]) -> _Batch:
    count, language = spec.params["per_combination"], spec.params["language"]
    seed = seed_of(spec.params["seed"], combination.id)
    messages = prompting.messages(apis, multi=combination.group != "I1", count=count, seed=seed, language=language)
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
    batch = _sort(spec, combination, apis, found, replies)
    return await _judged(world, spec, combination, apis, batch) if spec.params["judge_values"] else batch


async def _judged(world: World, spec: Spec, combination: Combination, apis: Sequence[Api], batch: _Batch) -> _Batch:
    """The batch without the instructions that, in the teacher's judgment, lack a value."""
    by_id = {api.id: api for api in apis}

    async def missing(item: Instruction) -> Reason | None:
        relevant = [by_id[name] for name in item.relevant]
        return await judging.missing_value(world, f"{combination.id}#values", item.text, relevant, item.seed)

    reasons = await in_order(batch.instructions, missing, limit=world.at_once(1))
    kept = []
    for number, (item, reason) in enumerate(zip(batch.instructions, reasons, strict=True)):
        if reason:
            # Behind the numbers of what was written.
            batch.rejects.append(_reject(spec, combination, _JUDGED + number, reason, item.text))
        else:
            kept.append(item)
    return _Batch(kept, batch.rejects)


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
        reason = filters.check(
            written, candidates, combination.group, shortest=shortest, longest=longest, language=spec.params["language"]
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
                prompt_digest=digest(spec.params["prompts"]),
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
