"""A search tree as ToolBench's answer files nest it: a node for each thought, each action and each action input.

Our steps are flat and hold a thought and a call together. On the last node of a step we add `step`, its number with
what the layout has no field for; readers of ToolBench's own files ignore it, and files without it are read as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolbench.records import Step
from toolbench.solutions.answer_nodes import ACTION, INPUT, THOUGHT, Mark
from toolbench.solutions.calls import ANSWERED


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
            mark = Mark(
                id=step.id,
                turn=step.turn,
                called=step.api_id is not None,
                source=step.source,
                reasoning=step.reasoning,
            )
            at["step"] = mark.model_dump()
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
