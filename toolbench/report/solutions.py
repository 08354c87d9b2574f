"""All solutions as data that pages load: each with its tree in one of many small files, and an index to find them by.

Tables are read one after the other and one file at a time; what belongs to one solution meets in its file. In memory
stays one short row a solution.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from toolbench.datasets import STAGE as DATASET
from toolbench.lake import Entry, Lake, Snapshot
from toolbench.records import ApiCall, Conversation, Instruction, Judgment, Reject, Solution
from toolbench.report import solution_data
from toolbench.report.scripts import Buckets, buckets_for
from toolbench.report.searching import SearchIndex
from toolbench.report.timings import timings
from toolbench.report.trees import tried_again
from toolbench.report.words import OUTCOMES, SPLITS
from toolbench.schemas import from_table

EACH = 16
"""Solutions of one file, about."""

_AT_ONCE = 256
_TEXT = 220
"""Characters of an instruction in a list."""

FACETS = ("outcome", "group", "topic", "split", "search")


class Line(NamedTuple):
    """A solution as a list shows it."""

    id: str
    group: str
    topic: str
    outcome: str
    split: str
    steps: int
    again: int
    """How often its search went back."""
    failed: int
    """Calls that failed."""


class Written(NamedTuple):
    """What other pages need to know."""

    buckets: int
    """Files with trees."""
    of: dict[str, tuple[str, str]]
    """Outcome and id of a solution of each instruction that was asked about."""


def write(lake: Lake, snapshot: Snapshot, folder: Path, asked: Collection[str] = ()) -> Written:
    """Write `trees/` and `solutions/` below `folder`.

    Raises LakeError if a file of the lake is gone or damaged.
    """
    count = buckets_for(snapshot.rows(Solution.TABLE), EACH)
    with Buckets(folder / "trees", count) as trees:
        by_instruction = _trees(lake, snapshot, trees)
        of = {
            id_: (by_instruction[id_][-1].outcome, by_instruction[id_][-1].id) for id_ in asked if id_ in by_instruction
        }
        index = SearchIndex(folder / "solutions", FACETS)
        _instructions(lake, snapshot, trees, by_instruction, index)
        index.finish()
        _judgments(lake, snapshot, trees)
        _conversations(lake, snapshot, trees)
        _rejects(lake, snapshot, trees)
    return Written(count, of)


def _trees(lake: Lake, snapshot: Snapshot, trees: Buckets) -> dict[str, list[Line]]:
    """Write every tree; gives the solutions of each instruction, in the order of the tables."""
    by_instruction: dict[str, list[Line]] = defaultdict(list)
    calls_of = defaultdict(list)
    for entry in snapshot.entries(ApiCall.TABLE):
        calls_of[entry.spec].append(entry)
    for entry in snapshot.entries(Solution.TABLE):
        calls = _Calls(lake, calls_of[entry.spec])
        times = timings(lake, entry.spec)
        for part in _parts(lake.table(entry, Solution)):
            made = calls.of(part["id"])
            for solution in from_table(Solution, part):
                found = solution_data.tree(solution, made.get(solution.id, ()), times.get(solution.instruction_id))
                trees.add("tree", solution.id, found)
                by_instruction[solution.instruction_id].append(_line(solution))
    return by_instruction


def _line(solution: Solution) -> Line:
    return Line(
        solution.id,
        solution.group,
        solution_data.topic(solution.category, solution.collection),
        solution.outcome,
        solution.split,
        max(0, len(solution.steps) - 1),
        tried_again(solution.steps),
        sum(map(solution_data.failed, solution.steps)),
    )


class _Calls:
    """The API calls of one shard."""

    def __init__(self, lake: Lake, entries: Sequence[Entry]) -> None:
        columns = ["solution_id", "step", "arguments", "error", "response"]
        tables = [lake.table(entry, ApiCall, columns) for entry in entries]
        self._table = pa.concat_tables(tables) if tables else None

    def of(self, solutions: pa.ChunkedArray) -> dict[str, list[dict[str, Any]]]:
        """The calls of some solutions, in order."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        if self._table is not None:
            mine = self._table.filter(pc.is_in(self._table["solution_id"], solutions.combine_chunks()))
            for row in mine.to_pylist():
                found[row["solution_id"]].append(row)
        return found


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, len(table), _AT_ONCE):
        yield table.slice(start, _AT_ONCE)


def _instructions(
    lake: Lake, snapshot: Snapshot, trees: Buckets, by_instruction: dict[str, list[Line]], index: SearchIndex
) -> None:
    """Write what was asked beside each tree, and the list of solutions in the order of their instructions."""
    columns = ["id", "text", "candidates", "relevant", "model"]
    for entry in snapshot.entries(Instruction.TABLE):
        for part in _parts(lake.table(entry, Instruction, columns)):
            for row in part.to_pylist():
                lines = by_instruction.pop(row["id"], [])
                for found in lines:
                    trees.add("instruction", found.id, row)
                    _list(index, found, row["text"])
                if lines:
                    trees.add("solutions", row["id"], [found.id for found in lines])
    for lines in by_instruction.values():  # the instruction was replaced since
        for found in lines:
            _list(index, found, "")


def _list(index: SearchIndex, found: Line, text: str) -> None:
    outcome = OUTCOMES.get(found.outcome, found.outcome)
    facets = {
        "outcome": outcome,
        "group": found.group,
        "topic": found.topic or "None",
        "split": SPLITS.get(found.split, found.split),
        "search": "went back" if found.again else "straight on",
    }
    shown = text if len(text) <= _TEXT else f"{text[:_TEXT]}…"
    row = [found.id, shown, found.group, found.topic, outcome, found.steps, found.again, found.failed]
    index.add(row, text, found.topic, facets)


def _judgments(lake: Lake, snapshot: Snapshot, trees: Buckets) -> None:
    columns = ["solution_id", "vote", "verdict", "reason", "model"]
    for entry in snapshot.entries(Judgment.TABLE):
        for part in _parts(lake.table(entry, Judgment, columns)):
            for row in part.to_pylist():
                trees.add("judgment", row.pop("solution_id"), row)


def _conversations(lake: Lake, snapshot: Snapshot, trees: Buckets) -> None:
    for entry in snapshot.entries(Conversation.TABLE):
        for part in _parts(lake.table(entry, Conversation)):
            for conversation in from_table(Conversation, part):
                trees.add("sample", conversation.solution_id, solution_data.sample(conversation))


def _rejects(lake: Lake, snapshot: Snapshot, trees: Buckets) -> None:
    """Why no training sample was made of a solution."""
    columns = ["stage", "record_id", "reason", "detail"]
    for entry in snapshot.entries(Reject.TABLE):
        table = lake.table(entry, Reject, columns)
        for row in table.filter(pc.equal(table["stage"], DATASET)).to_pylist():
            trees.add("reject", row["record_id"], [row["reason"], row["detail"][:_TEXT]])
