"""The pass rate of a run from its votes: a pure function, whatever order they come in."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from toolbench.digests import digest
from toolbench.lake import Usage
from toolbench.records import Answered, Vote
from toolbench.schemas import as_dict
from toolbench.settings import Settings
from toolbench.statistics import bootstrap
from toolbench.tooleval import rules
from toolbench.tooleval.answers import steps_of
from toolbench.tooleval.checks import checks
from toolbench.tooleval.runs import (
    AnswerStatus,
    Counting,
    JudgePin,
    Judging,
    Passing,
    PassRun,
    QueryResult,
    Rate,
    Rule,
    SplitResult,
    TaskStatus,
)
from toolbench.tooleval.voting import pass_judge

ALL = "all"


def pass_run(
    rows: Sequence[Answered],
    votes: Iterable[Vote],
    settings: Settings,
    usage: Usage,
    *,
    name: str,
    answers: str,
    whole: bool,
) -> PassRun:
    """The result of one evaluation. `whole`: the rows are a test set, and not just what was answered."""
    judge, counting, unsure = pass_judge(settings), settings.judge.counting, settings.judge.unsure
    used = Judging(**usage.model_dump())
    return make_run(
        rows, votes, judge, counting, unsure, settings.seed, name=name, answers=answers, whole=whole, judging=used
    )


def make_run(
    rows: Sequence[Answered],
    votes: Iterable[Vote],
    judge: JudgePin,
    counting: Counting,
    unsure: float,
    seed: int,
    *,
    name: str,
    answers: str,
    whole: bool,
    judging: Judging,
) -> PassRun:
    """As `pass_run`, with a judge that may be anybody."""
    rows = sorted(rows, key=lambda r: (r.split, r.query_id))
    by_query: dict[tuple[str, str], list[Vote]] = {}
    for vote in votes:
        by_query.setdefault((vote.split, vote.query_id), []).append(vote)
    results = [_result(r, by_query.get((r.split, r.query_id), []), judge.votes, counting, unsure) for r in rows]
    present = [row for row in rows if row.present]
    method, model = _one({r.method for r in present}), _one({r.model for r in present})
    content = [{k: v for k, v in as_dict(r).items() if k not in ("spec", "origin", "cost")} for r in rows]
    return PassRun(
        id=digest([content, judge.model_dump(), counting, unsure, seed, name]),
        name=name or " ".join(part for part in (method, model) if part),
        method=method,
        model=model,
        answers=answers,
        test_set="instructions" if whole else "answers",
        counting=counting,
        unsure=unsure,
        judge=judge,
        fingerprint=judge.fingerprint,
        seed=seed,
        judging=judging,
        splits=_splits(rows, results, judge.votes, seed),
        queries=results,
    )


def _one(names: set[str]) -> str:
    return next(iter(names)) if len(names) == 1 else "mixed" if names else ""


def _result(row: Answered, cast: Sequence[Vote], count: int, counting: Counting, unsure: float) -> QueryResult:
    rule = rules.rule_for(row)
    answer = {v.vote: v.verdict for v in cast if v.question == "answer"}
    task = {v.vote: v.verdict for v in cast if v.question == "task"}
    passings = [_passing(answer.get(n), task.get(n), rule, counting) for n in range(count)]
    read = [p for p in passings if p]
    points = [rules.points(p, unsure) if p else None for p in passings]
    status: AnswerStatus = rules.majority(answer.values(), "unsure" if answer else "unsolved")  # type: ignore[assignment]
    verdict: Passing = rules.majority(read, "unsure" if read else "failed")  # type: ignore[assignment]
    tasks: TaskStatus | Literal[""] = rules.majority(task.values(), "unsure") if task else ""  # type: ignore[assignment]
    counted = [p for p in points if p is not None]
    return QueryResult(
        query_id=row.query_id,
        split=row.split,
        answered=row.present,
        rule=rule,
        status=status,
        task=tasks,
        verdict=verdict,
        points=round(statistics.fmean(counted), 9) if counted else 0.0,
        votes=points,
        steps=steps_of(row),
        calls=row.calls,
        replies=row.replies,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost=row.cost,
    )


def _passing(answer: str | None, task: str | None, rule: Rule, counting: Counting) -> Passing | None:
    """What one vote comes to; None if a part of it could not be read."""
    if answer is None:
        return None
    status: AnswerStatus = answer  # type: ignore[assignment]
    if not rules.asks_for_task(status, rule, counting):
        return rules.decide(status, "solvable")
    found: TaskStatus | None = task  # type: ignore[assignment]
    return rules.decide(status, found) if found else None


def _splits(rows: Sequence[Answered], results: Sequence[QueryResult], votes: int, seed: int) -> list[SplitResult]:
    found = []
    for split in [*sorted({r.split for r in rows}), ALL]:
        mine = [(row, result) for row, result in zip(rows, results, strict=True) if split in (row.split, ALL)]
        found.append(_split(split, [r for r, _ in mine], [r for _, r in mine], votes, seed))
    return found


def _split(split: str, rows: Sequence[Answered], results: Sequence[QueryResult], votes: int, seed: int) -> SplitResult:
    # The same query in two splits is one query: its text is the cluster.
    estimate = bootstrap([r.points for r in results], [row.query for row in rows], seed=seed)
    if estimate is None:
        raise ValueError(f"split {split} has no queries")
    prefix = (lambda r: f"{r.split}/{r.query_id}") if split == ALL else (lambda r: r.query_id)
    return SplitResult(
        split=split,
        queries=len(rows),
        missing=[prefix(row) for row in rows if not row.present],
        pass_rate=Rate.of(estimate),
        vote_rates=[round(statistics.fmean(_of_vote(r, n) for r in results), 9) for n in range(votes)],
        vote_variance=_variance(results),
        checks=checks(rows),
    )


def _of_vote(result: QueryResult, number: int) -> float:
    """The points of one vote; where it cannot be read, of the query's others."""
    points = result.votes[number]
    return result.points if points is None else points


def _variance(results: Sequence[QueryResult]) -> float | None:
    """Mean over the queries that a judge was asked about of the variance between votes."""
    asked = [[p for p in r.votes if p is not None] for r in results if not r.rule or r.task]
    found = [statistics.variance(points) for points in asked if len(points) > 1]
    return round(statistics.fmean(found), 9) if found else None


def statuses(run: PassRun) -> Mapping[tuple[str, str], QueryResult]:
    """The results of a run by split and query id."""
    return {(r.split, r.query_id): r for r in run.queries}
