"""Folders of ToolBench's answer files, one file a question, read into a lake."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

from toolbench.digests import digest
from toolbench.errors import SourceError
from toolbench.lake import Lake, Receipt, Spec
from toolbench.records import Api, Group, Instruction, Reject, Solution
from toolbench.solutions.answer_nodes import Broken
from toolbench.solutions.answer_reading import Answer, from_answer, parse
from toolbench.solutions.rules import Rules, preset

STAGE = "answers"
TABLES = ("instructions", "solutions")
_VERSION = 1
_MODEL = "imported"
RULES = ("method", "width", "max_depth", "max_calls", "answers", "tries")
"""The rules of a search that its files state; a specification keeps them."""

Find = Callable[[str], Api | None]
"""A function's name → the API it stands for."""


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """One file: its name below the folder, and its document, or why there is none."""

    name: str
    document: Any
    problem: str = ""


def read_answers(folder: Path) -> Iterator[AnswerFile]:
    """The answer files below a folder, in the order of their names. Raises SourceError if there are none."""
    try:
        paths = sorted(p for p in folder.rglob("*.json") if p.is_file())
    except OSError as error:
        raise SourceError(f"The answers {folder} cannot be read: {error.strerror}.") from None
    if not paths:
        raise SourceError(f"There are no answers in {folder}: give a folder with ToolBench's files, one a question.")
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            yield AnswerFile(name, json.loads(path.read_bytes()))
        except OSError as error:
            yield AnswerFile(name, None, f"It cannot be read: {error.strerror}.")
        except (ValueError, RecursionError) as error:
            yield AnswerFile(name, None, f"It is not valid JSON: {error}.")


def write(lake: Lake, files: Iterable[AnswerFile], label: str, find: Find) -> list[Receipt]:
    """Put answers into the lake, each with its instruction, in the partition {"answers": label}: a shard for all that
    were searched by the same rules.

    They are held out from training, as imported instructions are. A file that is no answer, offers no API that `find`
    knows, or repeats another, is a reject of the first shard. All of them are in memory together.
    """
    shards: dict[Rules, _Shard] = {}
    rejects: list[Reject] = []
    seen: set[str] = set()
    for file in files:
        try:
            if file.problem:
                raise Broken("malformed", file.problem)
            answer = parse(file.document)
            instruction, solution = _rows(file.name, answer, label, find)
            if instruction.id in seen:
                raise Broken("duplicate", "Another file of this name answers the same question.")
            seen.add(instruction.id)
            shards.setdefault(answer.rules, _Shard()).add(instruction, solution)
        except Broken as broken:
            rejects.append(_reject(file, label, *broken.args))
    receipts = []
    for rules, shard in (shards or {preset("toolbench"): _Shard()}).items():
        receipts.append(_put(lake, label, rules, shard, rejects))
        rejects = []
    return receipts


@dataclass(slots=True)
class _Shard:
    instructions: list[Instruction] = field(default_factory=list)
    solutions: list[Solution] = field(default_factory=list)

    def add(self, instruction: Instruction, solution: Solution) -> None:
        self.instructions.append(instruction)
        self.solutions.append(solution)


def _reject(file: AnswerFile, label: str, reason: str, detail: str) -> Reject:
    return Reject(
        id=digest([STAGE, label, file.name]),
        stage=STAGE,
        record_id=f"{label}#{file.name}",
        reason=reason,
        detail=f"{file.name}: {detail}",
    )


def _put(lake: Lake, label: str, rules: Rules, shard: _Shard, rejects: list[Reject]) -> Receipt:
    content = [[i.candidates for i in shard.instructions], [s.id for s in shard.solutions], [r.detail for r in rejects]]
    spec = Spec(
        stage=STAGE,
        label=label,
        partition={"answers": label},
        records=[i.id for i in shard.instructions],
        content=digest(content),
        params={"version": _VERSION, "search": {name: getattr(rules, name) for name in RULES}},
    )
    lake.put_spec(spec)
    return lake.receipt(spec.digest) or lake.finish(
        spec,
        {
            Instruction: [replace(i, spec=spec.digest) for i in shard.instructions],
            Solution: [replace(s, spec=spec.digest) for s in shard.solutions],
            Reject: [replace(r, spec=spec.digest) for r in rejects],
        },
        taken_in=len(shard.solutions) + len(rejects),
        passed_on=len(shard.solutions),
    )


def _rows(name: str, answer: Answer, label: str, find: Find) -> tuple[Instruction, Solution]:
    if not answer.query.strip():
        raise Broken("malformed", "Its query is empty.")
    apis: dict[str, Api] = {}
    for function in answer.functions:
        if isinstance(called := function.get("name"), str) and (api := find(called)):
            apis[called] = api
    if not apis:
        raise Broken("no_candidates", "The lake has none of the APIs that it offers.")
    offered = list({a.id: a for a in apis.values()}.values())
    instruction = Instruction(
        id=instruction_id(label, name, answer.query),
        group=_group(name, offered),
        category=offered[0].category if len({a.category for a in offered}) == 1 else "",
        collection="",
        combination_id="",
        text=answer.query,
        candidates=[a.id for a in offered],
        relevant=[],
        split="instruction",
        model=_MODEL,
        prompt_digest="",
        seed=0,
        input_tokens=0,
        output_tokens=0,
        cost=0.0,
    )
    found = from_answer(answer, instruction, {function: api.id for function, api in apis.items()}, model=_MODEL)
    # A file of ours says whose solution it was; here it is one of this instruction.
    return instruction, replace(
        found,
        id=digest([instruction.id, found.id, [astuple(step) for step in found.steps]]),
        instruction_id=instruction.id,
        group=instruction.group,
        category=instruction.category,
        collection="",
        split=instruction.split,
    )


def instruction_id(label: str, name: str, query: str) -> str:
    """The id of the instruction that an answer file brings along."""
    return digest([label, Path(name).stem, query])


def _group(name: str, offered: list[Api]) -> Group:
    """As the file's folder or name says (G1, G2, G3), else by how far its APIs reach."""
    if found := re.search(r"(?:^|/)G([123])_", name):
        return f"I{found[1]}"  # type: ignore[return-value]
    if len({a.tool_id for a in offered}) == 1:
        return "I1"
    return "I2" if len({a.category for a in offered}) == 1 else "I3"
