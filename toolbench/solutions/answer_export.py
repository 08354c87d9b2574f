"""The lake's solutions as folders of ToolBench's answers.

One file a question, `<query id>_<method>.json`, below `G1_answer`, `G2_answer` and `G3_answer` for what is trained on,
below `G1_instruction`, `G1_tool` and so on for what is held out. `converted/G1_instruction.json` and others hold the
same for ToolEval.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from toolbench.errors import ToolbenchError, UsageError
from toolbench.lake import Entry, Lake, Snapshot
from toolbench.records import Api, Instruction, Solution, Tool
from toolbench.solutions.answer_files import RULES, STAGE
from toolbench.solutions.answers import to_answer
from toolbench.solutions.converted import converted, method_name
from toolbench.solutions.messages import Task
from toolbench.solutions.rules import Rules, preset


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    written: dict[str, int]
    """Answers by folder."""
    left_out: int
    """Solutions whose instruction or APIs the snapshot has no more, or whose tree is too deep for JSON."""


def export(lake: Lake, snapshot: Snapshot, folder: Path, names: Mapping[str, int] | None = None) -> Exported:
    """Write the solutions of a snapshot below `folder`, in both layouts; what is there under the same names goes.

    `names`: by instruction, the number that stands for it in the exported queries; without it, its id. One file of the
    lake is in memory at a time, and the APIs. Raises UsageError if there are no solutions, ToolbenchError if `folder`
    cannot be written.
    """
    if not snapshot.entries(Solution.TABLE):
        raise UsageError(f"Snapshot {snapshot.number} of {lake.uri} has no solutions: run `toolbench annotate` first.")
    counts: Counter[str] = Counter()
    left_out = 0
    tasks = _Tasks(lake, snapshot)
    try:
        with _Converted(folder / "converted") as lists:
            for entry in snapshot.entries(Solution.TABLE):
                rules = _rules(lake, entry)
                for solution, task in tasks.of(entry):
                    number = str((names or {}).get(solution.instruction_id, solution.instruction_id))
                    split = "answer" if solution.split == "train" else solution.split
                    where = f"G{solution.group[1:]}_{split}"
                    if task is None or not _write(folder / where, number, solution, task, rules):
                        left_out += 1
                        continue
                    lists.add(where, number, converted(solution, task, rules))
                    counts[where] += 1
    except OSError as error:
        raise ToolbenchError(f"The answers cannot be written to {folder} ({error}); name another --out.") from error
    return Exported(dict(sorted(counts.items())), left_out)


def _write(folder: Path, number: str, solution: Solution, task: Task, rules: Rules) -> bool:
    try:
        text = json.dumps(to_answer(solution, task, rules), ensure_ascii=False, indent=1)
    except RecursionError:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{number}_{method_name(rules)}.json"
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return True


def _rules(lake: Lake, entry: Entry) -> Rules:
    """The rules a shard was searched by. Raises LakeError if its specification is gone."""
    stage = STAGE if "answers" in entry.partition else "solutions"
    wanted = lake.spec(f"specs/{stage}/{entry.spec}.json").params["search"]
    return preset("default", **{name: wanted[name] for name in RULES if name in wanted})


class _Tasks:
    """What each solution was asked, and with which functions."""

    def __init__(self, lake: Lake, snapshot: Snapshot) -> None:
        self._lake, self._snapshot = lake, snapshot
        self._apis: dict[str | None, dict[str, Api]] = {}
        self._tools: dict[str | None, dict[str, str]] = {}

    def of(self, entry: Entry) -> Iterator[tuple[Solution, Task | None]]:
        """The solutions of a file, each with its task; None where the snapshot lacks a part of it."""
        came_with = entry.partition.get("instructions")
        apis = self._catalogue(came_with)
        there = [e for e in self._snapshot.entries(Instruction.TABLE) if e.partition == entry.partition]
        asked = {i.id: i for i in self._lake.read(there, Instruction)}
        for solution in self._lake.read([entry], Solution):
            instruction = asked.get(solution.instruction_id)
            if instruction is None or any(i not in apis for i in instruction.candidates):
                yield solution, None
                continue
            offered = [apis[i] for i in instruction.candidates]
            described = self._tools[came_with]
            yield (
                solution,
                Task(
                    instruction=instruction.text,
                    definitions=[json.loads(a.definition) for a in offered],
                    functions={a.function: a.id for a in offered},
                    tools=list({a.tool_id: (a.tool, described.get(a.tool_id, "")) for a in offered}.values()),
                ),
            )

    def _catalogue(self, came_with: str | None) -> dict[str, Api]:
        if came_with not in self._apis:
            mine = [e for e in self._snapshot.entries(Api.TABLE) if e.partition.get("instructions") == came_with]
            owners = [e for e in self._snapshot.entries(Tool.TABLE) if e.partition.get("instructions") == came_with]
            self._apis[came_with] = {a.id: a for a in self._lake.read(mine, Api)}
            self._tools[came_with] = {t.id: t.description for t in self._lake.read(owners, Tool)}
        return self._apis[came_with]


class _Converted:
    """JSON objects in a folder, an entry at a time, put in their place together at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, TextIO] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "_Converted":
        return self

    def add(self, name: str, key: str, entry: dict[str, Any]) -> None:
        """Append an entry to the file `name`, which is begun if it is not."""
        begun = name in self._open
        if not begun:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._partial(name).open("w", encoding="utf-8", errors="replace", newline="\n")
            self._open[name] = self._stack.enter_context(file)
        self._open[name].write(",\n" if begun else "{\n")
        self._open[name].write(f"{json.dumps(key)}: {json.dumps(entry, ensure_ascii=False)}")

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            if failure is None:
                for file in self._open.values():
                    file.write("\n}\n")
            self._stack.close()
            if failure is None:
                for name in self._open:
                    self._partial(name).replace(self._folder / f"{name}.json")
        finally:
            self._stack.close()
            for name in self._open:
                self._partial(name).unlink(missing_ok=True)

    def _partial(self, name: str) -> Path:
        return self._folder / f".{name}.json.{os.getpid()}"
