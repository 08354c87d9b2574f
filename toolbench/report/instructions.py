"""The instructions: what was written, kept and rejected, how long they are, what they cover."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from toolbench.instructions import STAGE
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Instruction, Reject
from toolbench.report.lengths import Chart, chart, lengths
from toolbench.report.relevance import coverage, needed, tool_of
from toolbench.report.samples import RejectExamples, sample_rejects
from toolbench.report.scan import count, files, named, pivot, query
from toolbench.report.tabular import Table, number, share
from toolbench.report.words import SPLITS

TOPICS = 40
"""Categories and collections that are listed, those with the most instructions first."""

_TOPIC = """CASE WHEN category <> '' THEN category WHEN collection <> '' THEN 'Collection ' || collection ELSE '' END"""


@dataclass(slots=True)
class _Counts:
    """Everything the tables need, from one reading of the rows."""

    kept: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Instructions by group, topic and split."""
    rejected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Rejects by group, topic and reason."""
    words: dict[str, Counter[int]] = field(default_factory=dict)
    """Per group, instructions by their words."""
    needed: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """Instructions by group, `apis` or `tools`, and how many of them are relevant."""
    relevant: set[str] = field(default_factory=set)
    """APIs that are relevant to some instruction."""

    @property
    def groups(self) -> list[str]:
        return sorted({key[0] for counts in (self.kept, self.rejected) for key in counts})


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the page shows, in its order."""

    by_group: Table
    by_reason: Table | None
    examples: Sequence[RejectExamples]
    by_topic: Table
    by_split: Table | None
    lengths: Table | None
    chart: Chart | None
    needed: Table | None
    coverage: Table | None


def statistics(lake: Lake, snapshot: Snapshot) -> Statistics | None:
    """The statistics of a snapshot; None if no instruction was written."""
    counts = _count(lake, snapshot)
    if not counts.groups:
        return None
    some = bool(counts.kept)
    return Statistics(
        by_group=_bynamed(lake, snapshot, counts),
        by_reason=_by_reason(lake, snapshot, counts) if counts.rejected else None,
        examples=sample_rejects(lake, snapshot, STAGE),
        by_topic=_by_topic(lake, snapshot, counts),
        by_split=_by_split(lake, snapshot, counts) if some else None,
        lengths=lengths(lake, snapshot, counts.words) if some else None,
        chart=chart(counts.words) if some else None,
        needed=needed(lake, snapshot, counts.needed) if some else None,
        coverage=coverage(lake, snapshot, counts.relevant) if some and snapshot.rows(Api.TABLE) else None,
    )


def _count(lake: Lake, snapshot: Snapshot) -> _Counts:
    counts = _Counts()
    columns = ["group", "category", "collection", "split", "text", "relevant"]
    for table in files(lake, snapshot, Instruction, columns):
        for group, category, collection, split, text, relevant in zip(
            *(table[name].to_pylist() for name in columns), strict=True
        ):
            counts.kept[group, _topic(category, collection), split] += 1
            counts.words.setdefault(group, Counter())[len(text.split())] += 1
            counts.needed[group, "apis", len(relevant)] += 1
            counts.needed[group, "tools", len({tool_of(api) for api in relevant})] += 1
            counts.relevant.update(relevant)
    where = ["stage", "group", "category", "collection", "reason"]
    for (stage, group, category, collection, reason), n in count(lake, snapshot, Reject, where).items():
        if stage == STAGE:
            counts.rejected[group, _topic(category, collection), reason] += n
    return counts


def _topic(category: str, collection: str) -> str:
    return category or (f"Collection {collection}" if collection else "")


def _bynamed(lake: Lake, snapshot: Snapshot, counts: _Counts) -> Table:
    kept, rejected = (_sums(c, 0) for c in (counts.kept, counts.rejected))
    select, tables = _written(snapshot, '"group"', "NULLS LAST")
    return Table(
        "Written, kept and rejected, by group",
        ["Group", "Written", "Kept", "Share kept", "Rejected"],
        _shares(kept, rejected, counts.groups),
        query(lake, snapshot, tables, select),
        total=True,
        notes=["A reply of the teacher that could not be read counts as one that was written."],
    )


def _by_topic(lake: Lake, snapshot: Snapshot, counts: _Counts) -> Table:
    kept, rejected = (_sums(c, 1) for c in (counts.kept, counts.rejected))
    names = sorted({*kept, *rejected}, key=lambda name: (-kept[name] - rejected[name], name))
    listed, left = names[:TOPICS], len(names) - TOPICS
    select, tables = _written(snapshot, "topic", "NULLS LAST")
    return Table(
        "Written, kept and rejected, by category or collection",
        ["Category", "Written", "Kept", "Share kept", "Rejected"],
        [*_shares(kept, rejected, listed)[:-1], _shares(kept, rejected, names)[-1]],
        query(lake, snapshot, tables, select),
        total=True,
        notes=[f"{number(left)} more, with fewer instructions each, are not listed; “All” counts them."]
        if left > 0
        else [],
    )


def _written(snapshot: Snapshot, column: str, nulls: str) -> tuple[str, list[str]]:
    """The statement that counts by `column`, and the tables it reads: only those that have rows."""
    tables = [name for name in (Instruction.TABLE, Reject.TABLE) if snapshot.rows(name)]
    sources = {
        Instruction.TABLE: f'SELECT "group", {_TOPIC} AS topic, NULL AS reason FROM {{instructions}}',  # noqa: S608
        Reject.TABLE: f"""SELECT "group", {_TOPIC} AS topic, reason FROM {{rejects}} WHERE stage = '{STAGE}'""",  # noqa: S608
    }
    union = "\n  UNION ALL ".join(sources[name] for name in tables)
    order = "written DESC" if column == "topic" else column
    select = f"""
WITH written AS (
  {union}
)
SELECT {column}, count(*) AS written, count(*) FILTER (reason IS NULL) AS kept, count(reason) AS rejected
FROM written
GROUP BY ROLLUP ({column}) ORDER BY grouping({column}), {order}, {column} {nulls}
"""  # noqa: S608
    return select, tables


def _by_reason(lake: Lake, snapshot: Snapshot, counts: _Counts) -> Table:
    cells = Counter[tuple[str, str]]()
    for (group, _, reason), n in counts.rejected.items():
        cells[reason, group] += n
    reasons = _sums(counts.rejected, 2)
    groups = sorted({group for _, group in cells})
    rows = [
        [reason, *(number(cells[reason, group]) for group in groups), number(reasons[reason])]
        for reason in sorted(reasons, key=lambda r: (-reasons[r], r))
    ]
    by_group = [number(sum(cells[reason, group] for reason in reasons)) for group in groups]
    rows.append(["All", *by_group, number(reasons.total())])
    columns = pivot(groups)
    select = f"""
SELECT reason, {columns}, count(*) AS "all"
FROM {{rejects}} WHERE stage = '{STAGE}'
GROUP BY ROLLUP (reason) ORDER BY grouping(reason), "all" DESC, reason
"""  # noqa: S608
    return Table(
        "Rejected, by reason and group",
        ["Reason", *(named(g) for g in groups), "All"],
        rows,
        query(lake, snapshot, [Reject.TABLE], select),
        total=True,
    )


def _by_split(lake: Lake, snapshot: Snapshot, counts: _Counts) -> Table:
    cells = Counter[tuple[str, str]]()
    for (group, _, split), n in counts.kept.items():
        cells[split, group] += n
    groups = sorted({group for _, group in cells})
    splits = [*SPLITS, *sorted({split for split, _ in cells} - set(SPLITS))]
    splits = [s for s in splits if any(cells[s, g] for g in groups)]
    rows = [
        [SPLITS.get(s, s), *(number(cells[s, g]) for g in groups), number(sum(cells[s, g] for g in groups))]
        for s in splits
    ]
    rows.append(["All", *(number(sum(cells[s, g] for s in splits)) for g in groups), number(cells.total())])
    select = f"""
SELECT split, {pivot(groups)}, count(*) AS "all"
FROM {{instructions}}
GROUP BY ROLLUP (split)
ORDER BY grouping(split), list_position({list(SPLITS)}, split)
"""  # noqa: S608
    return Table(
        "Train and held out, by group",
        ["Split", *(named(g) for g in groups), "All"],
        rows,
        query(lake, snapshot, [Instruction.TABLE], select),
        total=True,
    )


def _shares(kept: Counter[str], rejected: Counter[str], names: Sequence[str]) -> list[list[str]]:
    rows = [(named(name), kept[name], rejected[name]) for name in names]
    rows.append(("All", sum(r[1] for r in rows), sum(r[2] for r in rows)))
    return [[name, number(k + r), number(k), share(k, k + r), number(r)] for name, k, r in rows]


def _sums(counts: Counter[tuple[str, str, str]], column: int) -> Counter[str]:
    """Counts by one part of the key."""
    sums = Counter[str]()
    for key, n in counts.items():
        sums[key[column]] += n
    return sums
