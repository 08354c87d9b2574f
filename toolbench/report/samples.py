"""Which instructions and solutions a person gets to see: seeded draws, the same in every build of a snapshot."""

import heapq
from collections import defaultdict
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from toolbench.digests import draw
from toolbench.lake import Lake, Snapshot
from toolbench.records import Instruction, Solution
from toolbench.report.scan import files
from toolbench.schemas import from_table

INSTRUCTIONS_PER_GROUP = 12
SOLUTIONS = 60

_SALT = "report"


def sample_instructions(lake: Lake, snapshot: Snapshot) -> dict[str, list[Instruction]]:
    """Up to 12 instructions of each group, in the order of their draws."""
    drawn: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for table in files(lake, snapshot, Instruction):
        for id_, group in zip(table["id"].to_pylist(), table["group"].to_pylist(), strict=True):
            drawn[group].append((draw(_SALT, id_), id_))
        drawn = defaultdict(list, {g: heapq.nsmallest(INSTRUCTIONS_PER_GROUP, d) for g, d in drawn.items()})
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
