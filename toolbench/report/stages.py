"""What a stage came to, as a table that is read at a glance: all, by group, by category or collection."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from toolbench.lake import Outcome, Partition, Receipt, Usage
from toolbench.report.tabular import dollars, interval, number, share

MOST = 40
"""Categories and collections that get a row of their own, the largest ones; the others share one."""
NONE = "–"
_POINTS = {"solved": 1.0, "unsure": 0.5}
"""What an outcome counts in a pass rate."""
_RATED = ("solutions", "judgments")
"""Stages whose outcomes say what passed; of all others it is what they passed on."""


def figures(outcome: Outcome) -> list[dict[str, Any]]:
    """Rows: in, out, rejected by reason, outcomes, pass rate with its 95% interval, calls, tokens, cost."""
    receipts = outcome.receipts
    found = [("All", receipts)]
    found += _by(receipts, lambda p: p.get("group", ""))
    topics = sorted(_by(receipts, topic), key=lambda pair: (-sum(r.taken_in for r in pair[1]), pair[0]))
    found += sorted(topics[:MOST])
    if rest := [r for _, those in topics[MOST:] for r in those]:
        found.append((f"{len(topics) - MOST} others", rest))
    names = sorted({name for r in receipts for name in r.outcomes})
    return [_row(name, those, outcome, names) for name, those in found]


def description(outcome: Outcome) -> str:
    """What the table is about, and what of it this run did."""
    done = len(outcome.receipts)
    said = [f"{outcome.stage}: shards {number(done)}, of them done before {number(outcome.reused)}."]
    if any(r.usage.calls for r in outcome.receipts):
        said.append(
            f"This run paid for {number(outcome.paid.calls)} calls and {dollars(outcome.paid.cost)}; "
            "the table counts what earlier ones paid for as well."
        )
    if outcome.left:
        said.append(f"Shards left: {number(len(outcome.left))}. {outcome.stopped}")
    return " ".join(said)


def topic(partition: Partition) -> str:
    """What a partition is about: a category, a collection, or the file its instructions came from."""
    if "collection" in partition:
        return f"Collection {partition['collection']}"
    return partition.get("category") or partition.get("instructions", "")


def passed(stage: str, receipts: Iterable[Receipt], votes: int = 1) -> tuple[float, int]:
    """What passed, and of how many. Several votes on one answer are one observation."""
    found = list(receipts)
    if stage not in _RATED:
        return sum(r.passed_on for r in found), sum(r.taken_in for r in found)
    points = sum(_POINTS.get(name, 0.0) * n for r in found for name, n in r.outcomes.items())
    return points / votes, round(sum(n for r in found for n in r.outcomes.values()) / votes)


def _by(receipts: Sequence[Receipt], name: Callable[[Partition], str]) -> list[tuple[str, list[Receipt]]]:
    groups: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        if called := name(receipt.partition):
            groups.setdefault(called, []).append(receipt)
    return sorted(groups.items())


def _row(name: str, receipts: Sequence[Receipt], outcome: Outcome, names: Sequence[str]) -> dict[str, Any]:
    usage = sum((r.usage for r in receipts), Usage())
    reasons: dict[str, int] = {}
    for reason, n in ((reason, n) for r in receipts for reason, n in r.reasons.items()):
        reasons[reason] = reasons.get(reason, 0) + n
    counted = {n: sum(r.outcomes.get(n, 0) for r in receipts) for n in names}
    good, of = passed(outcome.stage, receipts, outcome.votes)
    return {
        "of": name,
        "in": sum(r.taken_in for r in receipts),
        "out": sum(r.passed_on for r in receipts),
        "rejected": ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items())) or "0",
        "pass rate": f"{share(good, of)} ({interval(good, of)})" if of else NONE,
        "calls": usage.calls,
        "tokens": usage.input_tokens + usage.output_tokens,
        "cost": dollars(usage.cost),
        **counted,  # the page takes its columns from row one
        "shards": len(receipts),
    }
