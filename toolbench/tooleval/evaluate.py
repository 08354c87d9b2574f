"""An evaluation from its answers to its stored result; who works on the shards is the caller's to say."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toolbench.errors import UsageError
from toolbench.lake import Draft, Entry, Lake, Receipt, Snapshot, Spec, Usage
from toolbench.progress import Counter
from toolbench.records import Answered, Reject, Vote
from toolbench.settings import Settings
from toolbench.teacher import Teacher
from toolbench.tooleval import comparing, voting
from toolbench.tooleval.comparing import compare
from toolbench.tooleval.gathering import Gathered
from toolbench.tooleval.pass_rate import pass_run
from toolbench.tooleval.runs import EvaluationRun, PassRun, WinRun
from toolbench.tooleval.storing import put_answered, put_run
from toolbench.tooleval.voting import vote
from toolbench.tooleval.win_rate import win_run

WorkOn = Callable[[str, Sequence[Spec]], list[Receipt]]
"""A stage's name and its shards → their receipts, in order."""

_WORK = {voting.STAGE: vote, comparing.STAGE: compare}


@dataclass(slots=True)
class Evaluated:
    """A pass rate with what it rests on."""

    run: PassRun
    answered: list[Entry]
    rows: list[Answered]
    votes: list[Vote]
    rejects: list[Reject]
    """Answers that count nowhere, and votes that could not be read."""


def pass_rate(
    lake: Lake, view: Snapshot, settings: Settings, gathered: Gathered, draft: Draft, work: WorkOn, *, name: str = ""
) -> Evaluated:
    """Judge answers and add everything to the draft. Raises UsageError without queries or votes."""
    if not gathered.rows:
        raise UsageError(f"There is no query to evaluate in {gathered.label}: name other --instructions or --split.")
    if not settings.judge.votes:
        raise UsageError("An evaluation needs votes, and judge.votes is 0: give --votes.")
    name = name or _name(gathered.rows) or gathered.label
    stored = put_answered(lake, name, gathered.rows, settings.work.shard_size, gathered.rejects)
    answered = [receipt.tables["answered"] for receipt in stored]
    receipts = work(voting.STAGE, voting.plan(view, settings, answered, gathered.earlier))
    rows = list(lake.read(answered, Answered))
    votes = list(lake.read([r.tables["votes"] for r in receipts if "votes" in r.tables], Vote))
    rejected = [r.tables["rejects"] for r in (*stored, *receipts) if "rejects" in r.tables]
    usage = sum((r.usage for r in receipts), Usage())
    run = pass_run(rows, votes, settings, usage, name=name, answers=gathered.label, whole=gathered.whole)
    draft.add(stored, ("answered",))
    draft.add(receipts, voting.TABLES)
    add_run(lake, draft, run)
    return Evaluated(run, answered, rows, votes, list(lake.read(rejected, Reject)))


def win_rate(
    lake: Lake, settings: Settings, ours: Evaluated, theirs: Evaluated, draft: Draft, work: WorkOn
) -> tuple[WinRun, list[Reject]]:
    """Compare two evaluations and add the votes and the result to the draft."""
    our, their = ({(q.split, q.query_id): q.status for q in side.run.queries} for side in (ours, theirs))
    found = comparing.pairs(ours.rows, theirs.rows, our, their)
    name, against = ours.run.name, theirs.run.name
    receipts = work(comparing.STAGE, comparing.plan(settings, name, against, ours.answered, theirs.answered, found))
    votes = list(lake.read([r.tables["votes"] for r in receipts if "votes" in r.tables], Vote))
    rejects = list(lake.read([r.tables["rejects"] for r in receipts if "rejects" in r.tables], Reject))
    run = win_run(ours.run, theirs.run, found, votes, settings, sum((r.usage for r in receipts), Usage()))
    draft.add(receipts, comparing.TABLES)
    add_run(lake, draft, run)
    return run, rejects


def add_run(lake: Lake, draft: Draft, run: EvaluationRun) -> None:
    """Store a result and add it to the draft."""
    draft.add([put_run(lake, run)], ("evaluations",))


def here(lake: Lake, settings: Settings) -> WorkOn:
    """Shards one after the other, in this process. What was done is not done again, and a kill costs a second."""

    def work(stage: str, specs: Sequence[Spec]) -> list[Receipt]:
        todo = [spec for spec in specs if lake.receipt(spec.digest) is None]
        if any(spec.size for spec in todo):
            asyncio.run(_check(settings))
        counter = Counter(stage, sum(spec.size for spec in todo))
        for spec in todo:
            lake.put_spec(spec)
            asyncio.run(_WORK[stage](lake, spec, settings, counter.step))
        counter.finish("" if todo else "unchanged")
        found = [lake.receipt(spec.digest) for spec in specs]
        return [receipt for receipt in found if receipt is not None]

    return work


async def _check(settings: Settings) -> None:
    async with Teacher(settings.as_judge().teacher) as judge:
        await judge.check()


def _name(rows: Sequence[Answered]) -> str:
    """What a run is called where nobody says: how and by whom it was searched."""
    present = [row for row in rows if row.present]
    parts = [{row.method for row in present}, {row.model for row in present}]
    return " ".join(next(iter(p)) if len(p) == 1 else "mixed" for p in parts if p and p != {""})
