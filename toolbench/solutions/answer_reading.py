"""Solutions from ToolBench's answer files; `answers` says what they look like."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from toolbench.dialogue import FINISH
from toolbench.digests import digest
from toolbench.records import Instruction, Outcome, Solution, Step
from toolbench.solutions import answer_nodes
from toolbench.solutions.answer_nodes import Broken, Node
from toolbench.solutions.answers import train_messages
from toolbench.solutions.calls import ANSWERED, GAVE_UP, finish
from toolbench.solutions.mending import mended
from toolbench.solutions.messages import Task
from toolbench.solutions.rules import Method, Rules, preset

_NUMBER = 2**53


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Limits(_Part):
    """`forward_args`: the rules of the search."""

    single_chain_max_step: int = Field(default=12, ge=1, le=_NUMBER)
    tree_beam_size: int = Field(default=2, ge=1, le=_NUMBER)
    max_query_count: int = Field(default=200, ge=1, le=_NUMBER)
    answer: int = Field(default=1, ge=1, le=_NUMBER)
    with_filter: bool = False
    pass_at: int = Field(default=1, ge=1, le=_NUMBER)


class _Generation(_Part):
    valid_data: bool
    query: str = ""
    final_answer: str = ""
    query_count: int = Field(default=0, ge=0, le=_NUMBER)
    total_tokens: int = Field(default=0, ge=0, le=_NUMBER)
    function: list[dict[str, Any]] = Field(default_factory=list)
    train_messages: list[list[dict[str, Any]]] = Field(default_factory=list)


class _Tree(_Part):
    tree: Node


class _Try(_Part):
    chain: list[Node]


class _Document(_Part):
    win: bool
    tree: _Tree | None = None
    trys: list[_Try] | None = None
    forward_args: _Limits = _Limits()
    answer_generation: _Generation
    solution: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A document, its types checked."""

    query: str
    functions: list[dict[str, Any]]
    """Definitions of the functions that were offered, without `Finish`."""
    rules: Rules
    document: _Document


def parse(document: Any) -> Answer:
    """The parts of a document. Raises Broken, naming the field, if it is none of ToolBench's layout."""
    try:
        found = _Document.model_validate(document)
    except (ValidationError, RecursionError) as error:
        if isinstance(error, RecursionError):
            raise Broken("malformed", "Its tree is nested too deeply.") from None
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Broken("malformed", f"The field {field}: {first['msg']}.") from None
    if (found.tree is None) == (found.trys is None):
        raise Broken("malformed", "It has to have either `tree` or `trys`.")
    limits = found.forward_args
    method: Method = "react" if found.trys is not None else "ranked" if limits.with_filter else "dfsdt"
    rules = preset(
        "toolbench", method=method, width=limits.tree_beam_size, max_depth=limits.single_chain_max_step,
        max_calls=limits.max_query_count, answers=limits.answer, tries=limits.pass_at,
    )  # fmt: skip
    generation = found.answer_generation
    functions = [f for f in generation.function if f.get("name") != FINISH]
    return Answer(mended(generation.query), functions, rules, found)


def from_answer(document: Any, instruction: Instruction, functions: Mapping[str, str], *, model: str = "") -> Solution:
    """The solution that a document holds; it is one of `instruction`, and `functions` gives the API of each name.

    `model`: who searched, where the document does not say. Raises Broken, with a reason code and a sentence.
    """
    answer = document if isinstance(document, Answer) else parse(document)
    found, rules = answer.document, answer.rules
    generation, ours = found.answer_generation, found.solution
    root = found.tree.tree if found.tree else _root(found.trys or [])
    steps = answer_nodes.read(root, rules.method == "ranked", functions, ours is not None)
    if ours is not None:
        return _ours(ours, steps)
    lines = _lines(steps, generation, found.win)
    path = lines[0] if lines else []
    outcome = _outcome(steps, path, generation, rules)
    end = steps[path[-1]] if path else None
    text = (end.arguments or "") if end else ""
    row = Solution(
        id=digest([instruction.id, generation.query, [dataclasses.astuple(s) for s in steps]]),
        instruction_id=instruction.id,
        group=instruction.group,
        category=instruction.category,
        collection=instruction.collection,
        split=instruction.split,
        method=rules.method,
        outcome=outcome,
        reason=_REASONS[outcome],
        final_answer=(finish(text).answer or text) if outcome == "solved" else "",
        steps=steps,
        path=path,
        model=model,
        prompt_digest="",
        seed=0,
        calls=generation.query_count,
        input_tokens=generation.total_tokens,
        output_tokens=0,
        cost=0.0,
    )
    return _told(row, lines[1:], answer) if len(lines) > 1 else row


_REASONS: dict[Outcome, str] = {
    "solved": "",
    "gave_up": "the teacher gave up",
    "out_of_budget": "no answer within the replies allowed",
    "failed": "no answer within the levels allowed",
}


def _root(tries: Sequence[_Try]) -> Node:
    """Chains as one tree. Without marks of ours a reply ends with its call."""
    root = Node(node_type="Action Input")
    for chain in (t.chain for t in tries):
        at = root
        for node in chain:
            ends = node.expand_num or int(node.node_type == answer_nodes.INPUT and node.step is None)
            at.children.append(node.model_copy(update={"children": [], "expand_num": ends}))
            at = at.children[0 if at is not root else -1]
    return root


def _ours(fields: Mapping[str, Any], steps: list[Step]) -> Solution:
    """The row that a file of ours holds, its types checked."""
    try:
        row: Solution = TypeAdapter(Solution).validate_python({**fields, "steps": steps})
    except ValidationError as error:
        first = error.errors()[0]
        raise Broken("malformed", f"The field solution.{first['loc'][0]}: {first['msg']}.") from None
    if row.path and (not 0 < row.path[-1] < len(steps) or _lineage(steps, steps[row.path[-1]]) != row.path):
        raise Broken("malformed", "The field solution.path is no path of its tree.")
    return row


def _lines(steps: Sequence[Step], generation: _Generation, won: bool) -> list[list[int]]:
    """The paths that end with the final answer, or with a give-up of the same words."""
    if not generation.valid_data:
        return []
    status = ANSWERED if won else GAVE_UP
    ends = [s for s in steps if s.status == status and s.arguments == mended(generation.final_answer)]
    if not ends:
        raise Broken("no_path", "No step of its tree ends with its final answer.")
    return [_lineage(steps, s) for s in ends]


def _told(row: Solution, others: Sequence[list[int]], answer: Answer) -> Solution:
    """Of paths that end alike the one that the training messages tell of; the first if they tell of none."""
    told = [_spoken(sample) for sample in answer.document.answer_generation.train_messages]
    task = Task(instruction=answer.query, definitions=[], functions={})
    for path in (row.path, *others):
        found = dataclasses.replace(row, path=path)
        if [_spoken(sample) for sample in train_messages(found, task, answer.rules)] == told:
            return found
    return row


def _spoken(sample: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What a sample says besides our prompts' words, or ToolBench's."""
    return [
        (m.get("role"), m.get("name"), m.get("function_call"), None if m.get("role") == "user" else m.get("content"))
        for m in sample
        if m.get("role") != "system"
    ]


def _lineage(steps: Sequence[Step], end: Step) -> list[int]:
    line = []
    at = end
    while at.parent >= 0:
        line.append(at.id)
        at = steps[at.parent]
    return line[::-1]


def _outcome(steps: Sequence[Step], path: Sequence[int], generation: _Generation, rules: Rules) -> Outcome:
    if path and steps[path[-1]].status == ANSWERED:
        return "solved"
    if any(s.status == GAVE_UP for s in steps):
        return "gave_up"
    spent = rules.method != "react" and generation.query_count >= rules.max_calls
    return "out_of_budget" if spent else "failed"
