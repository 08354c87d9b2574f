"""The nested nodes of ToolBench's answer files as steps; `answer_tree` writes them."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from toolbench.dialogue import FINISH, NO_SUCH_FUNCTION
from toolbench.records import Source, Step
from toolbench.solutions.calls import resolve
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
    called: bool
    """An API was called."""
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


def read(root: Node, ranked: bool, functions: Mapping[str, str], marked: bool) -> list[Step]:
    """Nested nodes as steps, numbered as the search made them: depth first, or all replies at a step before the first
    of them is followed (`ranked`, which also counts the comparisons).

    `functions`: name → API id. `marked`: it is a file of ours, whose marks number the steps.

    Raises Broken where an action has no input, or the marks are not one a step.
    """
    reading = _Reading(functions)
    if ranked:
        reading.by_rank(root)
    else:
        reading.in_depth(root)
    return _by_marks(reading.steps, reading.marks) if marked else reading.steps


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
            api_id=self._api(node, function),
            arguments=mended(node.description) if action is not None else None,
            observation=mended(node.observation or "") if action is not None else None,
            status=node.observation_code,
            source=node.step.source if node.step else "none",
            pruned=node.pruned,
        )
        self.steps.append(step)
        self.marks.append(node.step)
        return step.id

    def _api(self, node: Node, name: str | None) -> str | None:
        """The API that a name meant: its function's, or one that ends with it, as in the search."""
        called = node.step.called if node.step else node.observation_code != NO_SUCH_FUNCTION
        if name is None or name == FINISH or not called:
            return None
        found = resolve(name, self._functions, exact=True) or resolve(name, self._functions, exact=False)
        return self._functions[found] if found else None


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
