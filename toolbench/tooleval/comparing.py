"""The votes of a win rate: which of two answers to the same query is better (ToolLLM, appendix B; ToolEval).

Compared in this order, until something differs: who solved it; steps, where both did; the quality of the answers, by
the judge in both orders; what the path shows. Nothing is drawn by chance: what nothing decides is a tie.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from toolbench.concurrency import in_order
from toolbench.digests import canonical, digest, seed_of
from toolbench.lake import Entry, Lake, Receipt, Spec
from toolbench.records import Answered, Reject, Vote
from toolbench.settings import Settings
from toolbench.tooleval.answers import Query, calls_of, missing, steps_of
from toolbench.tooleval.asking import PREFER, SCHEMA_VERSION, Said, ask, attempt, pin
from toolbench.tooleval.rules import majority, rule_for
from toolbench.tooleval.runs import AnswerStatus, ComparisonResult, JudgePin, WonBy
from toolbench.tooleval.voting import cast_vote
from toolbench.world import World, chat_identity

STAGE = "preferences"
TABLES = ("votes",)

Side = Literal["ours", "theirs"]
Statuses = Mapping[tuple[str, str], AnswerStatus]
"""By split and query id: what most votes say of an answer."""

_RANK: Mapping[str, int] = {"unsolved": 0, "unsure": 1, "solved": 2}
_ORDERS = ("ours first", "theirs first")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one query, with what most votes say of each."""

    ours: Answered
    theirs: Answered
    our_status: AnswerStatus
    their_status: AnswerStatus

    @property
    def asks(self) -> bool:
        """Whether the judge has to compare the answers' quality."""
        before, _ = before_quality(self)
        texts = [row.final_answer.strip() for row in (self.ours, self.theirs)]
        ruled = any(rule_for(row) for row in (self.ours, self.theirs))
        return before is None and not ruled and texts[0] != texts[1]


def win_judge(settings: Settings) -> JudgePin:
    """The judge of preferences that settings ask for."""
    return pin(settings, PREFER)


def pairs(ours: Sequence[Answered], theirs: Sequence[Answered], our: Statuses, their: Statuses) -> list[Pair]:
    """The answers of both runs to the queries of ours, in its order; a query the other lacks has no answer there."""
    others = {(r.split, r.query_id): r for r in theirs}
    found = []
    for row in ours:
        key = (row.split, row.query_id)
        other = others.get(key) or missing(Query(row.query_id, row.split, row.query, row.functions))
        found.append(Pair(row, other, our.get(key, "unsolved"), their.get(key, "unsolved")))
    return found


def before_quality(pair: Pair) -> tuple[float | None, WonBy]:
    """What decides before any judge is asked: 1, ½ or 0 for ours, and why; None if nothing does."""
    ours, theirs = pair.ours, pair.theirs
    if not (ours.present and theirs.present):
        return (0.5 if ours.present == theirs.present else float(ours.present)), "missing"
    if pair.our_status != pair.their_status:
        return float(_RANK[pair.our_status] > _RANK[pair.their_status]), "solved"
    if pair.our_status == "solved" and steps_of(ours) != steps_of(theirs):
        return float(steps_of(ours) < steps_of(theirs)), "steps"
    return None, "even"


def path_score(row: Answered) -> float:
    """What a path shows: successful calls, different functions among them, and few steps.

    The weights are those of ToolEval's release: 10 a successful call, 5 a function, −5 for the logarithm of the steps.
    """
    good = [call.function for call in calls_of(row) if call.status == 0]
    return 10 * len(good) + 5 * len(set(good)) - 5 * math.log(max(1, steps_of(row)))


def outcome(pair: Pair, votes: Sequence[Vote], count: int) -> ComparisonResult:
    """What the rules and the votes on one pair come to; the order of the votes does not matter.

    Where the two orders disagree, or the votes do, it is a tie; where the judge sees no difference in quality, or none
    of its votes can be read, the path decides.
    """
    points, why = before_quality(pair)
    cast: list[float | None] = []
    if points is None and pair.asks:
        said = [_both_orders(votes, number) for number in range(count)]
        cast = [None if name is None else _POINTS.get(name, 0.5) for name in said]
        found = majority([name for name in said if name], "disagreement") if any(said) else "tie"
        if found != "tie":
            points, why = _POINTS.get(found, 0.5), "quality"
    if points is None:
        ours, theirs = path_score(pair.ours), path_score(pair.theirs)
        points, why = (0.5, "even") if ours == theirs else (float(ours > theirs), "path")
    return ComparisonResult(query_id=pair.ours.query_id, split=pair.ours.split, points=points, won_by=why, votes=cast)


_POINTS: Mapping[str, float] = {"ours": 1.0, "theirs": 0.0}


def _both_orders(votes: Sequence[Vote], number: int) -> str | None:
    """One vote: ours, theirs or tie if both orders agree; None if one of them could not be read."""
    said: dict[str, str] = {v.order: v.verdict for v in votes if v.vote == number}
    if any(order not in said for order in _ORDERS):
        return None
    first, second = (said[order] for order in _ORDERS)
    return first if first == second else "disagreement"


def plan(
    settings: Settings, name: str, against: str, ours: Sequence[Entry], theirs: Sequence[Entry], found: Sequence[Pair]
) -> list[Spec]:
    """A shard for each of our files of answers; `found` are the pairs of all of them."""
    judge, pinned = settings.as_judge(), win_judge(settings)
    specs = []
    for entry in ours:
        mine = [p for p in found if p.ours.spec == entry.spec]
        partition = {**entry.partition, "against": against, "judge": pinned.fingerprint}
        statuses = {p.ours.query_id: [p.our_status, p.their_status] for p in mine}
        content = [[canonical([p.ours.id, p.theirs.id, p.theirs.final_answer, p.theirs.spec]) for p in mine], statuses]
        specs.append(
            Spec(
                stage=STAGE,
                label=" ".join(entry.partition.values()),
                partition=partition,
                records=[entry.spec],
                content=digest([entry.sha256, content]),
                params={
                    "version": SCHEMA_VERSION,
                    **chat_identity(judge, temperature=settings.judge.temperature),
                    "judge": pinned.model_dump(),
                    "statuses": statuses,
                    "name": name,
                    "seed": settings.seed,
                },
                inputs={"ours": [entry], "theirs": list(theirs)},
                size=sum(p.asks for p in mine) * settings.judge.votes * len(_ORDERS),
            )
        )
    return specs


async def compare(lake: Lake, spec: Spec, settings: Settings, done: Callable[[], None]) -> Receipt:
    """Work on one shard: both orders of every vote on every pair that rules do not decide.

    Raises TeacherError, TransientError, BudgetError, LakeError; a vote that cannot be read is a reject.
    """
    found = await asyncio.to_thread(_pairs_of, lake, spec)
    judge = JudgePin.model_validate(spec.params["judge"])
    ballots = [(p, n, order) for p in found if p.asks for n in range(judge.votes) for order in _ORDERS]
    judging = settings.as_judge()
    async with World(lake, spec, judging) as world:

        async def one(ballot: tuple[Pair, int, str]) -> Vote | Reject:
            return await _vote(world, spec, judge, *ballot)

        cast = await in_order(ballots, one, limit=judging.teacher.max_concurrency, done=done)
        await world.journal.compact()
    votes = [v for v in cast if isinstance(v, Vote)]
    return await asyncio.to_thread(
        lake.finish,
        spec,
        {Vote: votes, Reject: [r for r in cast if isinstance(r, Reject)]},
        taken_in=len(cast),
        passed_on=len(votes),
        usage=world.usage,
        outcomes={name: sum(v.verdict == name for v in votes) for name in ("ours", "theirs", "tie")},
        model=judging.teacher.model,
    )


def _pairs_of(lake: Lake, spec: Spec) -> list[Pair]:
    ours = list(lake.read(spec.inputs["ours"], Answered))
    statuses: dict[str, list[AnswerStatus]] = spec.params["statuses"]
    our = {(r.split, r.query_id): statuses[r.query_id][0] for r in ours}
    their = {(r.split, r.query_id): statuses[r.query_id][1] for r in ours}
    return pairs(ours, list(lake.read(spec.inputs["theirs"], Answered)), our, their)


async def _vote(world: World, spec: Spec, judge: JudgePin, pair: Pair, number: int, order: str) -> Vote | Reject:
    sides: tuple[Side, Side] = ("ours", "theirs") if order == _ORDERS[0] else ("theirs", "ours")
    shown: dict[str, Any] = {"instruction": pair.ours.query}
    for place, side in zip(("first", "second"), sides, strict=True):
        row = pair.ours if side == "ours" else pair.theirs
        shown[place] = attempt(row.final_answer, calls_of(row))
    record = f"{pair.ours.id}/{pair.theirs.id}#{number}"
    seed = seed_of(spec.params["seed"], pair.ours.id, pair.theirs.id, number)
    said = await ask(world, PREFER, record, shown, seed, judge.temperature)
    choice = {"first": sides[0], "second": sides[1]}.get(said.choice, "tie")
    counted = said if said.problem else Said(choice, said.reason, said.reply, said.seed)
    return cast_vote(spec, judge, PREFER, pair.ours, "preference", number, counted, order)
