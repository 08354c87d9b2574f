"""The judge beside the search: is an answer that was just found any good? (ToolLLM, section 3.2; ToolEval.)

What the nightly run asks about every solution; conversations are built from what is not called unsolved. An evaluation
of the same solutions takes over these votes.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Literal

from toolbench import prompts
from toolbench.concurrency import in_order
from toolbench.dialogue import FINISH
from toolbench.digests import digest, seed_of
from toolbench.errors import LakeError
from toolbench.lake import Lake, Receipt, Snapshot, Spec
from toolbench.records import Instruction, Judgment, Reject, Reply, Solution
from toolbench.settings import Settings
from toolbench.tooleval.answers import Called
from toolbench.tooleval.asking import ANSWER, ROOM, RULE, Said, answer_case, ask, pin
from toolbench.world import World, chat_identity

STAGE = "judgments"
TABLES = ("judgments",)
VERSION = 2


def plan(view: Snapshot, settings: Settings, *, partitions: Sequence[dict[str, str]]) -> list[Spec]:
    """One shard for every file of solutions in `partitions`; none if settings ask for no votes."""
    if not settings.judge.votes:
        return []
    judge, pinned = settings.as_judge(), pin(settings, ANSWER)
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
                    **chat_identity(judge, temperature=settings.judge.temperature),
                    "judge": pinned.model_dump(),
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

    Raises TeacherError, TransientError, BudgetError, LakeError.
    """
    solutions = await lake.fetch(spec.inputs["solutions"], Solution)
    texts = {i.id: i.text for i in await lake.fetch(spec.inputs["instructions"], Instruction)}
    if gone := next((s for s in solutions if s.instruction_id not in texts), None):
        raise LakeError(
            f"Solution {gone.id} answers instruction {gone.instruction_id}, which the lake no longer has: run "
            "`toolbench annotate` for the instructions it has now."
        )
    ballots = [(solution, vote) for solution in solutions for vote in range(spec.params["votes"])]
    judging = settings.as_judge()
    fingerprint = pin(settings, ANSWER).fingerprint

    async with World(lake, spec, judging, independent=True) as world:

        async def one(ballot: tuple[Solution, int]) -> Judgment | Reject:
            return await _vote(world, spec, fingerprint, ballot[0], texts[ballot[0].instruction_id], ballot[1])

        votes = await in_order(ballots, one, limit=world.at_once(judging.teacher.max_concurrency), done=done)
        await world.journal.compact()
    judgments = [v for v in votes if isinstance(v, Judgment)]
    rejects = [v for v in votes if isinstance(v, Reject)]
    verdicts = {name: sum(j.verdict == name for j in judgments) for name in ANSWER.choices}
    return await asyncio.to_thread(
        lake.finish,
        spec,
        {Judgment: judgments, Reject: rejects},
        taken_in=len(ballots),
        passed_on=len(judgments),
        usage=world.usage,
        outcomes=verdicts,
        model=judging.teacher.model,
    )


async def _vote(
    world: World, spec: Spec, fingerprint: str, solution: Solution, text: str, vote: int
) -> Judgment | Reject:
    if solution.outcome != "solved" or not solution.final_answer.strip():
        none = Said("unsolved", "There is no final answer.", Reply(model=RULE), 0)
        return _judgment(spec, fingerprint, solution, vote, none)
    seed = seed_of(spec.params["seed"], solution.id, vote)
    case = answer_case(text, solution.final_answer, _calls(solution))
    said = await ask(world, ANSWER, f"{solution.id}#{vote}", case, seed, spec.params["temperature"])
    if not said.problem:
        return _judgment(spec, fingerprint, solution, vote, said)
    return Reject(
        id=digest([STAGE, solution.id, vote]),
        stage=STAGE,
        record_id=solution.id,
        reason="unreadable_vote",
        detail=f"Vote {vote} cannot be counted: {said.problem}.",
        group=solution.group,
        category=solution.category,
        collection=solution.collection,
        payload=json.dumps({"reply": said.reply.content}, ensure_ascii=False),
        spec=spec.digest,
    )


def _calls(solution: Solution) -> list[Called]:
    """The API calls along the chosen path, as `answers.calls_of` gives them for an evaluation."""
    steps = (solution.steps[i] for i in solution.path)
    return [
        Called(s.function, s.arguments or "", s.observation or "", s.status or 0)
        for s in steps
        if s.function is not None and s.function != FINISH
    ]


def _judgment(spec: Spec, fingerprint: str, solution: Solution, vote: int, said: Said) -> Judgment:
    verdict: Literal["solved", "unsure", "unsolved"] = said.choice  # type: ignore[assignment]
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
        reason=said.reason,
        model=said.reply.model,
        prompt_digest=prompts.load(ROOM, ANSWER.prompt).digest,
        seed=said.seed,
        input_tokens=said.reply.input_tokens,
        output_tokens=said.reply.output_tokens,
        cost=said.reply.cost,
        fingerprint=fingerprint,
        spec=spec.digest,
    )
