"""The votes of a pass rate: one shard of answers, every vote a row, everything the judge said in the journal."""

import asyncio
import json
from collections.abc import Callable, Sequence

from toolbench.concurrency import in_order
from toolbench.digests import digest, seed_of
from toolbench.lake import Entry, Lake, Receipt, Snapshot, Spec
from toolbench.records import Answered, Reject, Reply, Vote
from toolbench.settings import Settings
from toolbench.tooleval.asking import (
    ANSWER,
    RULE,
    SCHEMA_VERSION,
    TASK,
    Question,
    Said,
    answer_case_of,
    ask,
    pin,
    task_case,
)
from toolbench.tooleval.rules import RULE_REASONS, asks_for_task, rule_for
from toolbench.tooleval.runs import JudgePin, Rule
from toolbench.world import World, chat_identity

STAGE = "votes"
TABLES = ("votes",)


def pass_judge(settings: Settings) -> JudgePin:
    """The judge of pass rates that settings ask for: one that is never asked about tasks is another."""
    return pin(settings, ANSWER, *([TASK] if settings.judge.counting == "paper" else []))


def plan(view: Snapshot, settings: Settings, answered: Sequence[Entry], earlier: Sequence[str] = ()) -> list[Spec]:
    """One shard for every file of `answered`. `earlier`: shards whose votes may be about the same answers.

    The votes of the same name and split that `view` has are taken over, too, where nothing about them changed.
    """
    judge, pinned = settings.as_judge(), pass_judge(settings)
    specs = []
    for entry in answered:
        partition = {**entry.partition, "judge": pinned.fingerprint, "counting": settings.judge.counting}
        before = [e.spec for e in view.entries("votes") if entry.partition.items() <= e.partition.items()]
        specs.append(
            Spec(
                stage=STAGE,
                label=" ".join(entry.partition.values()),
                partition=partition,
                records=[entry.spec],
                content=entry.sha256,
                params={
                    "version": SCHEMA_VERSION,
                    **chat_identity(judge, temperature=settings.judge.temperature),
                    "judge": pinned.model_dump(),
                    "counting": settings.judge.counting,
                    "seed": settings.seed,
                },
                inputs={"answered": [entry]},
                earlier=sorted({*before, *earlier}),
                size=entry.rows * settings.judge.votes,
            )
        )
    return specs


async def vote(lake: Lake, spec: Spec, settings: Settings, done: Callable[[], None]) -> Receipt:
    """Work on one shard: `votes` votes on every answer, and on its task where that decides.

    A vote that cannot be read is a reject. Raises TeacherError, TransientError, BudgetError, LakeError.
    """
    rows = await lake.fetch(spec.inputs["answered"], Answered)
    judging = settings.as_judge()
    ballots = [(row, number) for row in rows for number in range(spec.params["judge"]["votes"])]
    async with World(lake, spec, judging) as world:
        booth = _Booth(world, spec)
        found = await in_order(ballots, booth.both, limit=judging.teacher.max_concurrency, done=done)
        await world.journal.compact()
    cast = [item for items in found for item in items]
    votes = [v for v in cast if isinstance(v, Vote)]
    return await asyncio.to_thread(
        lake.finish,
        spec,
        {Vote: votes, Reject: [r for r in cast if isinstance(r, Reject)]},
        taken_in=len(cast),
        passed_on=len(votes),
        usage=world.usage,
        outcomes={name: sum(v.question == "answer" and v.verdict == name for v in votes) for name in ANSWER.choices},
        model=judging.teacher.model,
    )


class _Booth:
    """Asks a judge about rows of one shard."""

    def __init__(self, world: World, spec: Spec) -> None:
        self._world, self._spec = world, spec
        self._judge = JudgePin.model_validate(spec.params["judge"])

    async def both(self, ballot: tuple[Answered, int]) -> list[Vote | Reject]:
        """A vote on the answer, and one on its task if it decides anything."""
        row, number = ballot
        rule = rule_for(row)
        if rule:
            said = Said("unsolved", RULE_REASONS[rule], Reply(model=RULE), 0)
        else:
            # As beside the search: what was asked there is not asked again.
            seed = seed_of(self._spec.params["seed"], row.id, number)
            said = await self._ask(ANSWER, f"{row.id}#{number}", answer_case_of(row), seed)
        cast = [self._row(ANSWER, row, number, said)]
        if not said.problem and self._task_decides(said, rule):
            seed = seed_of(self._spec.params["seed"], "task", row.query, number)
            said = await self._ask(TASK, f"{row.id}/task#{number}", task_case(row), seed)
            cast.append(self._row(TASK, row, number, said))
        return cast

    def _task_decides(self, said: Said, rule: Rule) -> bool:
        return asks_for_task(said.choice, rule, self._spec.params["counting"])  # type: ignore[arg-type]

    async def _ask(self, question: Question, record: str, case: dict[str, object], seed: int) -> Said:
        return await ask(self._world, question, record, case, seed, self._judge.temperature)

    def _row(self, question: Question, row: Answered, number: int, said: Said) -> Vote | Reject:
        kind = "answer" if question is ANSWER else "task"
        return cast_vote(self._spec, self._judge, question, row, kind, number, said)


def cast_vote(
    spec: Spec, judge: JudgePin, question: Question, row: Answered, kind: str, number: int, said: Said, order: str = ""
) -> Vote | Reject:
    """The row of a vote, or the reject of one that cannot be read."""
    name = digest([spec.digest, row.split, row.query_id, kind, number, order])
    if said.problem:
        return Reject(
            id=name,
            stage=spec.stage,
            record_id=f"{row.split}/{row.query_id}",
            reason="unreadable_vote",
            detail=f"Vote {number} on the {kind} {order} cannot be counted: {said.problem}.".replace("  ", " "),
            payload=json.dumps({"reply": said.reply.content}, ensure_ascii=False),
            spec=spec.digest,
        )
    return Vote(
        id=name,
        answered_id=row.id,
        query_id=row.query_id,
        split=row.split,
        question=kind,  # type: ignore[arg-type]
        vote=number,
        order=order,  # type: ignore[arg-type]
        verdict=said.choice,
        reason=said.reason,
        model=said.reply.model,
        prompt_digest=judge.prompts[question.prompt],
        fingerprint=judge.fingerprint,
        seed=said.seed,
        input_tokens=said.reply.input_tokens,
        output_tokens=said.reply.output_tokens,
        cost=said.reply.cost,
        spec=spec.digest,
    )
