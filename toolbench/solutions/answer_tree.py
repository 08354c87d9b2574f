"""A search tree as ToolBench's answer files nest it: a node for each thought, each action and each action input.

Our steps are flat and hold a thought and a call together. On the last node of a step we add `step`, its number with
what the layout has no field for; readers of ToolBench's own files ignore it, and files without it are read as well.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from toolbench.records import Source, Step
from toolbench.solutions.calls import ANSWERED
from toolbench.solutions.mending import mended

_NUMBER = 2**53
THOUGHT, ACTION, INPUT = "Thought", "Action", "Action Input"


class Broken(Exception):
    """A file that cannot be a solution of ours: reason code and sentence."""


class Mark(BaseModel):
    """What a file of ours says of a step besides ToolBench's fields."""

    model_config = ConfigDict(strict=True)

    id: int = Field(ge=1, le=_NUMBER)
    turn: int = Field(ge=1, le=_NUMBER)
    source: Source = "none"
    reasoning: str | None = None


class Node(BaseModel):
    """The fields of a node that hold more than others say; `is_terminal`, which is always false, does not."""

    model_config = ConfigDict(strict=True)

    node_type: Literal["Thought", "Action", "Action Input"]
    description: str = ""
    observation: str | None = None
    observation_code: int | None = Field(default=None, ge=-1, le=12)
    pruned: bool = False
    expand_num: int = Field(default=0, ge=0, le=_NUMBER)
    step: Mark | None = None
    children: list["Node"] = Field(default_factory=list)


@dataclass(slots=True)
class Written:
    """A tree in ToolBench's nesting."""

    root: dict[str, Any]
    ends: list[dict[str, Any]]
    """By step: its last node."""
    above: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By `id` of a node: the node above it."""

    def chain(self, step: int) -> list[dict[str, Any]]:
        """The nodes from below the root to the end of a step, without their children."""
        return [{k: v for k, v in node.items() if k != "children"} for node in reversed(self._line(step))]

    def finish(self, step: int) -> None:
        """Mark an answer as ToolBench does: from its node up to the third action input."""
        inputs = 0
        for node in [*self._line(step), self.root]:
            node["finished"] = True
            inputs += node["node_type"] == INPUT
            if inputs == 3:
                return

    def nodes(self) -> Iterator[dict[str, Any]]:
        """All nodes, the root first."""
        stack = [self.root]
        while stack:
            node = stack.pop()
            yield node
            stack += reversed(node["children"])

    def _line(self, step: int) -> list[dict[str, Any]]:
        line, node = [], self.ends[step]
        while node is not self.root:
            line.append(node)
            node = self.above[id(node)]
        return line


def write(steps: Sequence[Step], ranked: bool, marked: bool = True) -> Written:
    """Steps as nested nodes. `expand_num` numbers the ends of turns as the search entered them; 0: it did not.

    `marked`: with our `step` on the last node of each.
    """
    visits = _visits(steps, ranked)
    root = _node(INPUT, "")
    out = Written(root, [root])
    for step in steps[1:]:
        at = out.ends[step.parent]
        for node in _nodes(step):
            node["depth"] = at["depth"] + 1
            out.above[id(node)] = at
            at["children"].append(node)
            at = node
        at["pruned"] = step.pruned
        at["expand_num"] = visits.get(step.id, 0)
        if marked:
            at["step"] = Mark(id=step.id, turn=step.turn, source=step.source, reasoning=step.reasoning).model_dump()
        out.ends.append(at)
    for step in steps[1:]:
        if step.status == ANSWERED and not step.pruned:
            out.finish(step.id)
    for node in out.nodes():
        node["child_count"] = len(node["children"])
    return out


def _node(kind: str, description: str) -> dict[str, Any]:
    state: dict[str, Any] = {"io_state": {}} if kind == INPUT else {}
    return {
        "is_terminal": False, "pruned": False, "finished": False, "depth": 0, "node_type": kind,
        "description": description, "Elo": 1000.0, "child_count": 0, "expand_num": 0, **state, "children": [],
    }  # fmt: skip


def _nodes(step: Step) -> list[dict[str, Any]]:
    nodes = [] if step.thought is None else [_node(THOUGHT, step.thought)]
    if step.function is not None:
        nodes += [_node(ACTION, step.function), _node(INPUT, step.arguments or "")]
    if step.observation:
        nodes[-1]["observation"] = step.observation
    if step.status is not None:
        nodes[-1]["observation_code"] = step.status
    return nodes


def _visits(steps: Sequence[Step], ranked: bool) -> dict[int, int]:
    """By the last step of a turn: its place in the order the search entered them, from 1.

    A search that ranks says nothing of the order of replies with none below them: they come as they were sampled, and
    those that were neither pruned nor an answer were not entered.
    """
    above = {s.id: s.parent for s in steps}
    turns = {s.id: s.turn for s in steps}
    inner = {s.parent for s in steps[1:] if s.turn == turns[s.parent]}
    ends = [s for s in steps[1:] if s.id not in inner]
    if not ranked:
        return {s.id: number for number, s in enumerate(ends, 1)}
    below: dict[int, list[int]] = {}
    for end in ends:
        at = end.parent
        while turns[at] == end.turn:
            at = above[at]
        below.setdefault(at, []).append(end.id)
    order: list[int] = []
    stack = [0]
    while stack:
        at = stack.pop()
        order.append(at)
        stack += sorted(below.get(at, ()), key=lambda i: (min(below.get(i, [0])), i), reverse=True)
    entered = [i for i in order[1:] if i in below or steps[i].pruned or steps[i].status == ANSWERED]
    return {i: number for number, i in enumerate(entered, 1)}


def read(root: Node, ranked: bool, functions: Mapping[str, str]) -> list[Step]:
    """Nested nodes as steps, numbered as the search made them: depth first, or all replies at a step before the first
    of them is followed (`ranked`, which also counts the comparisons). `functions`: name → API id.

    Raises Broken where an action has no input, or the marks of a file of ours contradict its tree.
    """
    reading = _Reading(functions)
    if ranked:
        reading.by_rank(root)
    else:
        reading.in_depth(root)
    return _by_marks(reading.steps, reading.marks) if any(reading.marks) else reading.steps


class _Reading:
    def __init__(self, functions: Mapping[str, str]) -> None:
        self.steps = [Step(id=0, parent=-1, turn=0, depth=0)]
        self.marks: list[Mark | None] = []
        self._functions = functions
        self._turn = 0

    def in_depth(self, root: Node) -> None:
        stack = [(0, child) for child in reversed(root.children)]
        while stack:
            end, at = self._add(*stack.pop())
            stack += [(at, child) for child in reversed(end.children)]

    def by_rank(self, root: Node) -> None:
        stack = [(root, 0)]
        while stack:
            node, at = stack.pop()
            ends = [self._add(at, child) for child in node.children]
            self._turn += len(ends) * (len(ends) - 1)
            stack += sorted(ends, key=lambda pair: pair[0].expand_num or _NUMBER, reverse=True)

    def _add(self, parent: int, first: Node) -> tuple[Node, int]:
        """The steps of one turn: its last node and the last step's number."""
        self._turn += 1
        line = [first]
        while (at := line[-1]).expand_num == 0 and len(at.children) == 1 and not self._ends_turn(at):
            line.append(at.children[0])
        thought: str | None = None
        for number, node in enumerate(line):
            if node.node_type == ACTION:
                if number + 1 == len(line) or line[number + 1].node_type != INPUT:
                    raise Broken("malformed", f"The action {node.description[:60]!r} has no input below it.")
                continue
            action = line[number - 1].description if node.node_type == INPUT and number else None
            if node.node_type == INPUT and (action is None or line[number - 1].node_type != ACTION):
                raise Broken("malformed", f"The action input {node.description[:60]!r} has no action above it.")
            if node.node_type == THOUGHT:
                thought = node.description
                if number + 1 < len(line) and line[number + 1].node_type == ACTION and node.step is None:
                    continue
            parent = self._step(parent, node, thought, action)
            thought = None
        return line[-1], parent

    def _ends_turn(self, node: Node) -> bool:
        """Our mark says so where a turn was not entered: the next step is of another."""
        below = node.children[0]
        while below.step is None and len(below.children) == 1:
            below = below.children[0]
        return node.step is not None and below.step is not None and below.step.turn != node.step.turn

    def _step(self, parent: int, node: Node, thought: str | None, action: str | None) -> int:
        levels = (thought is not None) + 2 * (action is not None)
        text = None if thought is None else mended(thought)
        function = None if action is None else mended(action)
        step = Step(
            id=len(self.steps),
            parent=parent,
            turn=self._turn,
            depth=self.steps[parent].depth + levels,
            thought=text,
            reasoning=node.step.reasoning if node.step else None,
            function=function,
            api_id=self._functions.get(function) if function else None,
            arguments=mended(node.description) if action is not None else None,
            observation=mended(node.observation or "") if action is not None else None,
            status=node.observation_code,
            source=node.step.source if node.step else "none",
            pruned=node.pruned,
        )
        self.steps.append(step)
        self.marks.append(node.step)
        return step.id


def _by_marks(steps: list[Step], marks: list[Mark | None]) -> list[Step]:
    """Steps under the numbers that a file of ours gives them."""
    known = [mark for mark in marks if mark is not None]
    if sorted(m.id for m in known) != list(range(1, len(steps))):
        raise Broken("malformed", "The numbers of its steps are not 1 to their count, each once.")
    to = {0: 0} | {step.id: mark.id for step, mark in zip(steps[1:], known, strict=True)}
    found = [
        dataclasses.replace(step, id=mark.id, parent=to[step.parent], turn=mark.turn)
        for step, mark in zip(steps[1:], known, strict=True)
    ]
    found.sort(key=lambda step: step.id)
    if any(step.parent >= step.id for step in found):
        raise Broken("malformed", "A step of it comes before the one it follows.")
    return [steps[0], *found]
