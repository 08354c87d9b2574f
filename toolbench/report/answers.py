"""ToolBench's answer files as a lake of their own, so that their trees can be looked at as any others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from toolbench.digests import canonical, digest
from toolbench.lake import Draft, Lake, Receipt, Spec
from toolbench.records import Api, Conversation, Parameter, Record, Solution, Tool
from toolbench.solutions.answer_files import TABLES, AnswerFile, instruction_id, read_answers, write
from toolbench.solutions.mending import mended
from toolbench.student import UnusableConversation
from toolbench.student.conversations_answers import from_answer

AT_ONCE = 200
"""Files in memory together."""

FLOW = "view"


def answers_into(lake: Lake, folder: Path) -> tuple[int, int]:
    """Publish the answers below a folder, with the functions that they offer as APIs; gives how many, and how many
    files were none.

    Raises SourceError if there are none at all.
    """
    receipts: list[Receipt] = []
    apis: dict[str, Api] = {}
    conversations: list[Receipt] = []
    found = read_answers(folder)
    while files := list(islice(found, AT_ONCE)):
        for file in files:
            apis |= {api.function: api for api in _apis(file) if api.function not in apis}
        made = write(lake, files, folder.resolve().name, apis.get)
        receipts += made
        conversations += _conversations(lake, folder.resolve().name, files, made)
    draft = Draft()
    draft.add(receipts, TABLES)
    draft.add([_catalogue(lake, list(apis.values()))], (Tool.TABLE, Api.TABLE))
    draft.add(conversations, (Conversation.TABLE,))
    lake.publish(draft, FLOW)
    return sum(r.passed_on for r in receipts), sum(r.rejected for r in receipts)


def _apis(file: AnswerFile) -> Iterator[Api]:
    """The functions that an answer offers, as far as they are ones; the name of a function has its tool's behind it."""
    generation = file.document.get("answer_generation") if isinstance(file.document, dict) else None
    offered = generation.get("function") if isinstance(generation, dict) else None
    for function in offered if isinstance(offered, list) else ():
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str) and name != "Finish":
            yield _api(name, function)


def _api(function: str, definition: Mapping[str, Any]) -> Api:
    name, _, tool = function.rpartition("_for_")
    tool, name = tool or "functions", name or function
    return Api(
        id=f"{tool}/{name}", tool_id=tool, tool=tool, name=name, category="", collections=[],
        description=str(definition.get("description") or ""), method="", url="",
        parameters=_parameters(definition.get("parameters")), function=function, definition=canonical(definition),
        digest=digest(definition),
    )  # fmt: skip


def _parameters(shape: Any) -> list[Parameter]:
    properties = shape.get("properties") if isinstance(shape, dict) else None
    required = shape.get("required") if isinstance(shape, dict) else None
    if not isinstance(properties, dict):
        return []
    return [
        Parameter(
            name=str(name), shown_as=str(name), type=str(value.get("type", "")),
            required=isinstance(required, list) and name in required, description=str(value.get("description") or ""),
        )
        for name, value in properties.items()
        if isinstance(value, dict)
    ]  # fmt: skip


def _catalogue(lake: Lake, apis: Sequence[Api]) -> Receipt:
    unique = list({api.id: api for api in apis}.values())
    tools = [
        Tool(
            id=name, name=name, title=name, description="", category="", collections=[], base_url="", origin="answers",
            split="train", digest=name,
        )
        for name in sorted({api.tool_id for api in unique})
    ]  # fmt: skip
    return _put(lake, "catalogue", [api.digest for api in unique], {Tool: tools, Api: unique})


def _conversations(lake: Lake, label: str, files: Sequence[AnswerFile], made: Sequence[Receipt]) -> list[Receipt]:
    """What ToolBench's own training samples tell, beside the solutions of their files."""
    entries = [r.tables[Solution.TABLE] for r in made if Solution.TABLE in r.tables]
    solutions = {s.instruction_id: s for s in lake.read(entries, Solution)}
    rows = []
    for file in files:
        try:
            told = from_answer(file.document, file.name)
            query = mended(file.document["answer_generation"]["query"])
            of = solutions.pop(instruction_id(label, file.name, query))  # of two that are equal the first counts
        except (UnusableConversation, KeyError):
            continue
        mine = replace(told, id=of.id, solution_id=of.id, instruction_id=of.instruction_id, group=of.group)
        rows.append(replace(mine, category=of.category, split=of.split))
    return [_put(lake, "dataset", [row.id for row in rows], {Conversation: rows})] if rows else []


def _put(lake: Lake, stage: str, content: Sequence[str], rows: dict[type[Record], Sequence[Record]]) -> Receipt:
    count = len(rows[max(rows, key=lambda kind: len(rows[kind]))])
    spec = Spec(stage=stage, label=stage, partition={"view": stage}, records=[], content=digest(content), params={})
    return lake.finish(spec, rows, taken_in=count, passed_on=count)
