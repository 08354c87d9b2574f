"""Which instructions and solutions a person gets to see: seeded draws, the same in every build of a snapshot."""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from toolbench.digests import draw
from toolbench.lake import Lake, Snapshot
from toolbench.records import Instruction, Reject, Solution
from toolbench.report.scan import files
from toolbench.schemas import from_table

INSTRUCTIONS_PER_GROUP = 12
SOLUTIONS = 60
REJECTS_PER_REASON = 3

_SALT = "report"


@dataclass(frozen=True, slots=True)
class RejectExample:
    """Something that was rejected: its text, empty where none was kept, and why."""

    text: str
    detail: str
    where: str


@dataclass(frozen=True, slots=True)
class RejectExamples:
    """Some of what was rejected for one reason."""

    reason: str
    total: int
    drawn: Sequence[RejectExample]


def sample_rejects(lake: Lake, snapshot: Snapshot, stage: str) -> list[RejectExamples]:
    """Up to 3 rejects of a stage for each reason, the most frequent reason first."""
    drawn: dict[str, list[tuple[float, str]]] = defaultdict(list)
    totals = Counter[str]()
    for table in files(lake, snapshot, Reject):
        mine = table.filter(pc.equal(table["stage"], stage))
        for id_, reason in zip(mine["id"].to_pylist(), mine["reason"].to_pylist(), strict=True):
            totals[reason] += 1
            drawn[reason].append((draw(_SALT, id_), id_))
        drawn = defaultdict(list, {r: heapq.nsmallest(REJECTS_PER_REASON, d) for r, d in drawn.items()})
    chosen = {id_ for d in drawn.values() for _, id_ in d}
    found = {r.id: r for r in lake.pick(snapshot, Reject, "id", chosen) if r.stage == stage}
    return [
        RejectExamples(reason, totals[reason], [_example(found[id_]) for _, id_ in drawn[reason]])
        for reason in sorted(totals, key=lambda r: (-totals[r], r))
    ]


def _example(reject: Reject) -> RejectExample:
    topic = reject.category or (f"collection {reject.collection}" if reject.collection else "")
    return RejectExample(_text_of(reject.payload), reject.detail, ", ".join(filter(None, (reject.group, topic))))


def _text_of(payload: str) -> str:
    """The text in what was rejected: an instruction the teacher wrote, or a query of a file."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return payload
    text = found.get("instruction") if isinstance(found, dict) else found
    return text if isinstance(text, str) else ""


def sample_instructions(
    lake: Lake, snapshot: Snapshot, per_group: int = INSTRUCTIONS_PER_GROUP
) -> dict[str, list[Instruction]]:
    """Up to `per_group` instructions of each group, in the order of their draws."""
    drawn: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for table in files(lake, snapshot, Instruction):
        for id_, group in zip(table["id"].to_pylist(), table["group"].to_pylist(), strict=True):
            drawn[group].append((draw(_SALT, id_), id_))
        drawn = defaultdict(list, {g: heapq.nsmallest(per_group, d) for g, d in drawn.items()})
    chosen = {id_ for d in drawn.values() for _, id_ in d}
    found = {i.id: i for i in lake.pick(snapshot, Instruction, "id", chosen)}
    return {group: [found[id_] for _, id_ in drawn[group]] for group in sorted(drawn)}


def sample_solutions(lake: Lake, snapshot: Snapshot, wanted: Iterable[str]) -> list[tuple[Solution, bool]]:
    """Up to 60 solutions, each with whether its search back-tracked.

    First those that did, then those of the instructions `wanted`, then others; among equals the draw decides.
    """
    preferred = set(wanted)
    best: list[tuple[tuple[bool, bool, float, str], Solution]] = []
    for table in files(lake, snapshot, Solution):
        ranks = [
            (not back, instruction not in preferred, draw(_SALT, id_), id_)
            for id_, instruction, back in zip(
                table["id"].to_pylist(), table["instruction_id"].to_pylist(), backtracked(table), strict=True
            )
        ]
        # Only what may stay becomes a record: a file's steps outweigh everything else on the page.
        rows = heapq.nsmallest(SOLUTIONS, range(len(ranks)), key=lambda row: ranks[row])
        best += [(ranks[row], next(from_table(Solution, table.slice(row, 1)))) for row in rows]
        best = heapq.nsmallest(SOLUTIONS, best, key=lambda item: item[0])
    return [(solution, not rank[0]) for rank, solution in best]


def backtracked(solutions: pa.Table) -> list[bool]:
    """Per solution, whether its tree forks: whether some step has two children."""
    steps = solutions["steps"].combine_chunks()
    parents = pa.table(
        {"row": pc.list_parent_indices(steps), "parent": pc.struct_field(pc.list_flatten(steps), "parent")}
    )
    forks = [False] * len(solutions)
    counted = parents.group_by("row").aggregate([("parent", "count"), ("parent", "count_distinct")])
    for row, steps_of, distinct in zip(*(counted[name].to_pylist() for name in counted.column_names), strict=True):
        forks[row] = distinct < steps_of
    return forks
