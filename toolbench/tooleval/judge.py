"""Pass rate: does an answer solve its instruction? (ToolLLM, section 3.2; ToolEval.)

A judge reads instruction, answer and the calls that were made, and says solved, unsure or unsolved. What has no answer
is unsolved by rule, no judge is asked. The pass rate counts solved 1, unsure ½, over all instructions.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from toolbench import prompts
from toolbench.concurrency import in_order
from toolbench.dialogue import json_in
from toolbench.digests import digest, seed_of
from toolbench.errors import LakeError
from toolbench.lake import Lake, Receipt, Snapshot, Spec
from toolbench.records import Instruction, Judgment, Reject, Reply, Solution
from toolbench.settings import Settings
from toolbench.world import World, chat_identity

STAGE = "judgments"
TABLES = ("judgments",)
VERSION = 1

_ROOM = "toolbench.tooleval"
_RULE = "rule"
_VERDICTS = ("solved", "unsure", "unsolved")
_SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "verdict": {"type": "string", "enum": list(_VERDICTS)}},
    "required": ["reason", "verdict"],
    "additionalProperties": False,
}


def plan(view: Snapshot, settings: Settings, *, partitions: Sequence[dict[str, str]]) -> list[Spec]:
    """One shard for every file of solutions in `partitions`; none if settings ask for no votes."""
    if not settings.judge.votes:
        return []
    specs = []
    for label, solutions in view.files("solutions", partitions):
        specs.append(
            Spec(
                stage=STAGE,
                label=label,
                partition=solutions.partition,
                records=[solutions.spec],
                content=solutions.sha256,
                params={
                    "version": VERSION,
                    **chat_identity(settings, temperature=0),
                    "prompts": {n: prompts.load(_ROOM, n).digest for n in ("judge_system", "judge")},
                    "votes": settings.judge.votes,
                    "seed": settings.seed,
                },
                inputs={
                    "solutions": [solutions],
                    "instructions": [e for e in view.entries("instructions") if e.partition == solutions.partition],
                },
                earlier=view.shards("judgments", solutions.partition),
                size=solutions.rows * settings.judge.votes,
            )
        )
    return specs


async def judge(lake: Lake, spec: Spec, settings: Settings, done: Callable[[], None]) -> Receipt:
    """Work on one shard: `votes` judgments of every solution. A vote that cannot be read is a reject.

    Raises TeacherError, TransientError, LakeError.
    """
    solutions = list(lake.read(spec.inputs["solutions"], Solution))
    texts = {i.id: i.text for i in lake.read(spec.inputs["instructions"], Instruction)}
    if gone := next((s for s in solutions if s.instruction_id not in texts), None):
        raise LakeError(
            f"Solution {gone.id} answers instruction {gone.instruction_id}, which the lake no longer has: run "
            "`toolbench annotate` for the instructions it has now."
        )
    ballots = [(solution, vote) for solution in solutions for vote in range(spec.params["votes"])]

    async with World(lake, spec, settings, independent=True) as world:

        async def one(ballot: tuple[Solution, int]) -> Judgment | Reject:
            return await _vote(world, spec, ballot[0], texts[ballot[0].instruction_id], ballot[1])

        votes = await in_order(ballots, one, limit=world.at_once(settings.teacher.max_concurrency), done=done)
        await world.journal.compact()
    judgments = [v for v in votes if isinstance(v, Judgment)]
    rejects = [v for v in votes if isinstance(v, Reject)]
    verdicts = {name: sum(j.verdict == name for j in judgments) for name in _VERDICTS}
    return lake.finish(
        spec,
        {Judgment: judgments, Reject: rejects},
        taken_in=len(ballots),
        passed_on=len(judgments),
        usage=world.usage,
        outcomes=verdicts,
        model=settings.teacher.model,
    )


async def _vote(world: World, spec: Spec, solution: Solution, text: str, vote: int) -> Judgment | Reject:
    if solution.outcome != "solved" or not solution.final_answer.strip():
        return _judgment(spec, solution, vote, "unsolved", "There is no final answer.", Reply(model=_RULE), 0)
    calls = [
        {"function": step.function, "status": step.status}
        for step in (solution.steps[i] for i in solution.path)
        if step.function and step.function != "Finish"
    ]
    case = {"instruction": text, "answer": solution.final_answer, "calls": calls}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": prompts.load(_ROOM, "judge_system").render()},
        {"role": "user", "content": prompts.load(_ROOM, "judge").render(case=json.dumps(case, ensure_ascii=False))},
    ]
    seed = seed_of(spec.params["seed"], solution.id, vote)
    reply = await world.chat(f"{solution.id}#{vote}", messages, seed=seed, schema=("verdict", _SCHEMA), temperature=0)
    try:
        found = json_in(reply.content)
        if found["verdict"] in _VERDICTS:
            return _judgment(spec, solution, vote, found["verdict"], str(found.get("reason", "")), reply, seed)
        problem = f"the verdict {found['verdict']!r} is none of {', '.join(_VERDICTS)}"
    except (ValueError, TypeError, KeyError):
        problem = reply.error or "the reply is not the JSON that was asked for"
    return Reject(
        id=digest([STAGE, solution.id, vote]),
        stage=STAGE,
        record_id=solution.id,
        reason="unreadable_vote",
        detail=f"Vote {vote} cannot be counted: {problem}.",
        group=solution.group,
        category=solution.category,
        collection=solution.collection,
        payload=json.dumps({"reply": reply.content}, ensure_ascii=False),
        spec=spec.digest,
    )


def _judgment(
    spec: Spec,
    solution: Solution,
    vote: int,
    verdict: Literal["solved", "unsure", "unsolved"],
    reason: str,
    reply: Reply,
    seed: int,
) -> Judgment:
    return Judgment(
        id=digest([solution.id, vote]),
        solution_id=solution.id,
        instruction_id=solution.instruction_id,
        group=solution.group,
        category=solution.category,
        collection=solution.collection,
        split=solution.split,
        vote=vote,
        verdict=verdict,
        reason=reason,
        model=reply.model,
        prompt_digest=spec.params["prompts"]["judge"],
        seed=seed,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost=reply.cost,
        spec=spec.digest,
    )
