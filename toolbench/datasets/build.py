"""Training conversations and retrieval pairs from solutions and instructions. Nothing outside is asked."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from toolbench import prompts
from toolbench.datasets.conversations import conversation
from toolbench.digests import digest
from toolbench.documents import document
from toolbench.errors import LakeError
from toolbench.lake import Lake, Receipt, Snapshot, Spec
from toolbench.records import Api, Conversation, Instruction, Judgment, Reject, RetrievalPair, Solution, Tool
from toolbench.settings import Settings

STAGE = "dataset"
TABLES = ("conversations", "retrieval_pairs")
VERSION = 1


def plan(view: Snapshot, *, partitions: Sequence[dict[str, str]], give_ups: bool = False) -> list[Spec]:
    """One shard for every file of solutions in `partitions`; `give_ups`: of those chosen as well."""
    specs = []
    for label, solutions in view.files("solutions", partitions):
        came_with = solutions.partition.get("instructions")
        inputs = {
            "solutions": [solutions],
            "instructions": [e for e in view.entries("instructions") if e.partition == solutions.partition],
            "judgments": [e for e in view.entries("judgments") if e.partition == solutions.partition],
            "apis": [e for e in view.entries("apis") if e.partition.get("instructions") == came_with],
            "tools": [e for e in view.entries("tools") if e.partition.get("instructions") == came_with],
        }
        specs.append(
            Spec(
                stage=STAGE,
                label=label,
                partition=solutions.partition,
                records=[solutions.spec],
                content=digest([e.sha256 for entries in inputs.values() for e in entries]),
                params={
                    "version": VERSION,
                    "prompts": {n: prompts.load("toolbench.solutions", n).digest for n in ("system", "task")},
                    # Named only where it is asked for: what was built without it stays built.
                    **({"give_ups": True} if give_ups else {}),
                },
                inputs=inputs,
                size=solutions.rows,
            )
        )
    return specs


async def build(lake: Lake, spec: Spec, settings: Settings, done: Callable[[], None]) -> Receipt:
    """Work on one shard: every solution becomes a conversation or a reject, every instruction its retrieval pairs.

    What was not solved, and what the judge calls unsolved, teaches nobody to solve anything; giving up can be taught
    by choice.

    Raises LakeError if a held-out API would reach a training row, or if what a solution refers to is gone.
    """
    return await asyncio.to_thread(_build, lake, spec, done)


def _build(lake: Lake, spec: Spec, done: Callable[[], None]) -> Receipt:
    solutions = list(lake.read(spec.inputs["solutions"], Solution))
    wanted = {s.instruction_id for s in solutions}
    instructions = {i.id: i for i in lake.read(spec.inputs["instructions"], Instruction, wanted)}
    needed = {api for i in instructions.values() for api in i.candidates}
    apis = {a.id: a for a in lake.read(spec.inputs["apis"], Api, needed)}
    used_tools = {a.tool_id for a in apis.values()}
    tools = {t.id: t for t in lake.read(spec.inputs["tools"], Tool, used_tools)}

    objections = _objections(lake.read(spec.inputs["judgments"], Judgment))

    conversations: list[Conversation] = []
    pairs: list[RetrievalPair] = []
    rejects: list[Reject] = []
    for solution in solutions:
        instruction = _instruction_of(solution, instructions, apis)
        candidates = [apis[i] for i in instruction.candidates]
        _check_split(instruction, candidates)
        pairs += _pairs(instruction, apis, spec)
        gave_up = bool(spec.params.get("give_ups") and solution.outcome == "gave_up" and solution.path)
        if solution.outcome != "solved" and not gave_up:
            rejects.append(_reject(solution, solution.outcome, solution.reason, spec))
        elif solution.id in objections and not gave_up:
            rejects.append(_reject(solution, "judged_unsolved", objections[solution.id], spec))
        else:
            conversations.append(conversation(solution, instruction, candidates, tools, spec.digest))
        done()
    return lake.finish(
        spec,
        {Conversation: conversations, RetrievalPair: pairs, Reject: rejects},
        taken_in=len(solutions),
        passed_on=len(conversations),
        outcomes={"retrieval_pairs": len(pairs)},
    )


def _instruction_of(
    solution: Solution, instructions: Mapping[str, Instruction], apis: Mapping[str, Api]
) -> Instruction:
    """What a solution answers. Stages that were run one by one may have replaced it, or its APIs, since."""
    found = instructions.get(solution.instruction_id)
    if found is None or not apis.keys() >= set(found.candidates):
        raise LakeError(
            f"Solution {solution.id} rests on an instruction or on APIs that the lake no longer has: run "
            "`toolbench refresh` over the whole catalogue."
        )
    return found


def _check_split(instruction: Instruction, candidates: Sequence[Api]) -> None:
    """What is held out must stay out of training: a last check where training rows are made."""
    held_out = [a.id for a in candidates if a.split != "train"]
    if instruction.split == "train" and held_out:
        raise LakeError(
            f"Training instruction {instruction.id} offers the held-out API {held_out[0]}: what the catalogue "
            "holds out has changed since it was written; run `toolbench refresh` over the whole catalogue."
        )


def _pairs(instruction: Instruction, apis: dict[str, Api], spec: Spec) -> Iterator[RetrievalPair]:
    for api_id in instruction.relevant:
        yield RetrievalPair(
            id=digest([instruction.id, api_id]),
            query_id=instruction.id,
            query=instruction.text,
            api_id=api_id,
            document=document(apis[api_id]),
            group=instruction.group,
            category=instruction.category,
            collection=instruction.collection,
            split=instruction.split,
            model=instruction.model,
            spec=spec.digest,
        )


def _objections(judgments: Iterable[Judgment]) -> dict[str, str]:
    """Solutions that more than half of their votes call unsolved, with the first such vote's reason."""
    votes: dict[str, list[Judgment]] = {}
    for judgment in judgments:
        votes.setdefault(judgment.solution_id, []).append(judgment)
    against = {name: [j for j in cast if j.verdict == "unsolved"] for name, cast in votes.items()}
    return {name: found[0].reason for name, found in against.items() if 2 * len(found) > len(votes[name])}


def _reject(solution: Solution, reason: str, detail: str, spec: Spec) -> Reject:
    return Reject(
        id=digest([STAGE, solution.id]),
        stage=STAGE,
        record_id=solution.id,
        reason=reason,
        detail=detail,
        group=solution.group,
        category=solution.category,
        collection=solution.collection,
        payload=json.dumps({"instruction_id": solution.instruction_id}),
        spec=spec.digest,
    )
