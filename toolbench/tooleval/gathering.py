"""Answers of a lake: its solutions as what an evaluation works on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from toolbench.errors import UsageError
from toolbench.lake import Entry, Lake, Partition, Snapshot
from toolbench.records import Answered, Api, Instruction, Reject, Solution
from toolbench.tooleval.answers import Query, of_solution


@dataclass(slots=True)
class Gathered:
    """What an evaluation starts from."""

    rows: list[Answered]
    """One a query of the test set."""
    label: str
    """Where the answers came from."""
    whole: bool = True
    """The rows are a test set; otherwise what was answered is all there is."""
    rejects: list[Reject] = field(default_factory=list)
    """Answers that could not be read or belong to no query."""
    earlier: list[str] = field(default_factory=list)
    """Shards whose votes may be about the same answers."""

    def only(self, splits: Sequence[str]) -> "Gathered":
        """Of these splits alone; of all if none is named. Raises UsageError for one that is not there."""
        there = sorted({row.split for row in self.rows})
        if unknown := sorted(set(splits) - set(there)):
            raise UsageError(
                f"There is no split {unknown[0]!r} in {self.label}; there are: {', '.join(there) or 'none'}."
            )
        if splits:
            self.rows = [row for row in self.rows if row.split in splits]
        return self


def split_name(instruction: Instruction) -> str:
    """ToolBench's name of an instruction's split: `G1_instruction`, `G2_category`, `G3_train`."""
    return f"G{instruction.group[1:]}_{instruction.split}"


class LakeQueries:
    """The instructions of a lake as queries, and its solutions as answers to them."""

    def __init__(self, lake: Lake, view: Snapshot, names: Mapping[str, int] | None = None) -> None:
        """`names`: by instruction, the number that stands for it in exported queries; without it, its id."""
        self._lake, self._view, self._names = lake, view, names or {}
        self._apis: dict[str | None, dict[str, Api]] = {}

    def instructions(self, partitions: Iterable[Partition] | None = None) -> list[tuple[Partition, Instruction]]:
        """The instructions of some partitions, or of all, each with its partition."""
        wanted = None if partitions is None else list(partitions)
        entries = [e for e in self._view.entries(Instruction.TABLE) if wanted is None or e.partition in wanted]
        return [(e.partition, row) for e in entries for row in self._lake.read([e], Instruction)]

    def query(self, partition: Partition, instruction: Instruction) -> Query:
        """An instruction as a query; an API that the lake has no more is offered no more."""
        apis = self._catalogue(partition.get("instructions"))
        offered = [apis[i] for i in instruction.candidates if i in apis]
        return Query(
            query_id=str(self._names.get(instruction.id, instruction.id)),
            split=split_name(instruction),
            text=instruction.text,
            functions=json.dumps([json.loads(a.definition) for a in offered], ensure_ascii=False),
            relevant=tuple(apis[i].function for i in instruction.relevant if i in apis),
        )

    def answers(self, queries: Mapping[str, Query], solutions: Iterable[Entry], label: str) -> list[Answered]:
        """The solutions in some files that answer `queries`, which are by instruction id."""
        found = []
        for solution in self._lake.read(solutions, Solution):
            if query := queries.get(solution.instruction_id):
                functions = json.loads(query.functions)
                found.append(of_solution(solution, query, functions, origin=f"{label} {solution.spec}"))
        return found

    def _catalogue(self, came_with: str | None) -> dict[str, Api]:
        if came_with not in self._apis:
            mine = [e for e in self._view.entries(Api.TABLE) if e.partition.get("instructions") == came_with]
            self._apis[came_with] = {a.id: a for a in self._lake.read(mine, Api)}
        return self._apis[came_with]
