"""The win rate of one run against another, from the rules and the votes: a pure function."""

from collections import Counter
from collections.abc import Iterable, Sequence

from toolbench.digests import digest
from toolbench.lake import Usage
from toolbench.records import Vote
from toolbench.settings import Settings
from toolbench.statistics import bootstrap, sign_test
from toolbench.tooleval.comparing import Pair, outcome, win_judge
from toolbench.tooleval.pass_rate import ALL
from toolbench.tooleval.runs import ComparisonResult, Judging, PassRun, Rate, WinRun, WinSplit


def win_run(
    ours: PassRun, theirs: PassRun, pairs: Sequence[Pair], votes: Iterable[Vote], settings: Settings, usage: Usage
) -> WinRun:
    """How often `ours` beats `theirs`; `pairs` are all queries of ours."""
    judge = win_judge(settings)
    by_query: dict[tuple[str, str], list[Vote]] = {}
    for vote in votes:
        by_query.setdefault((vote.split, vote.query_id), []).append(vote)
    found = [outcome(p, by_query.get((p.ours.split, p.ours.query_id), []), judge.votes) for p in pairs]
    texts = {(p.ours.split, p.ours.query_id): p.ours.query for p in pairs}
    results = sorted(found, key=lambda r: (r.split, r.query_id))
    splits = []
    for split in [*sorted({r.split for r in results}), ALL]:
        mine = [r for r in results if split in (r.split, ALL)]
        splits.append(_split(split, mine, [texts[r.split, r.query_id] for r in mine], settings.seed))
    return WinRun(
        id=digest([ours.id, theirs.id, judge.model_dump(), settings.seed]),
        name=ours.name,
        against=theirs.name,
        run=ours.id,
        reference=theirs.id,
        method=ours.method,
        model=ours.model,
        judge=judge,
        fingerprint=judge.fingerprint,
        seed=settings.seed,
        judging=Judging(**usage.model_dump()),
        splits=splits,
        queries=results,
    )


def _split(split: str, results: Sequence[ComparisonResult], queries: Sequence[str], seed: int) -> WinSplit:
    estimate = bootstrap([r.points for r in results], queries, seed=seed)
    if estimate is None:
        raise ValueError(f"split {split} has no queries")
    counts = Counter(r.points for r in results)
    wins, losses = counts[1.0], counts[0.0]
    return WinSplit(
        split=split,
        queries=len(results),
        wins=wins,
        ties=len(results) - wins - losses,
        losses=losses,
        win_rate=Rate.of(estimate),
        p_value=round(sign_test(wins, losses), 9),
        won_by=dict(sorted(Counter(r.won_by for r in results).items())),
    )
