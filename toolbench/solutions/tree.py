"""The decision tree while it grows: one flat list of light nodes, turned into `records.Step`s at the end."""

from dataclasses import dataclass, field
from typing import Any

from toolbench.dialogue import Message
from toolbench.records import Source, Step


@dataclass(slots=True, eq=False, kw_only=True)
class Node:
    """A step under construction; the fields of `records.Step`, and what only the search needs."""

    id: int
    parent: "Node | None"
    turn: int
    depth: int
    thought: str | None = None
    reasoning: str | None = None
    function: str | None = None
    api_id: str | None = None
    arguments: str | None = None
    observation: str | None = None
    status: int | None = None
    source: Source = "none"
    pruned: bool = False
    terminal: bool = False
    """An answer was given here: the search enters it only to note it."""
    children: "list[Node]" = field(default_factory=list)
    said: tuple[Message, ...] = ()
    """The messages its turn adds to the conversation; stands at the last node of a turn."""

    def step(self) -> Step:
        """The node as a record."""
        return Step(
            id=self.id,
            parent=self.parent.id if self.parent else -1,
            turn=self.turn,
            depth=self.depth,
            thought=self.thought,
            reasoning=self.reasoning,
            function=self.function,
            api_id=self.api_id,
            arguments=self.arguments,
            observation=self.observation,
            status=self.status,
            source=self.source,
            pruned=self.pruned,
        )


class Tree:
    """A root and what grew from it, in the order it grew: a node's id is its place, its parent comes before it."""

    def __init__(self, opening: tuple[Message, ...]) -> None:
        """`opening`: the messages every conversation starts with."""
        self.root = Node(id=0, parent=None, turn=0, depth=0, said=opening)
        self.nodes = [self.root]

    def add(self, parent: Node, *, turn: int, levels: int, **fields: Any) -> Node:
        """A new child of `parent`, `levels` below it."""
        node = Node(id=len(self.nodes), parent=parent, turn=turn, depth=parent.depth + levels, **fields)
        parent.children.append(node)
        self.nodes.append(node)
        return node

    @staticmethod
    def conversation(node: Node) -> list[Message]:
        """Everything said from the root to the end of `node`'s turn: a new list of shared messages."""
        said = [place.said for place in reversed(lineage(node))]
        return [message for part in said for message in part]

    def steps(self) -> list[Step]:
        """The tree as records."""
        return [node.step() for node in self.nodes]


def lineage(node: Node) -> list[Node]:
    """The node and those above it, the root last."""
    line: list[Node] = []
    at: Node | None = node
    while at is not None:
        line.append(at)
        at = at.parent
    return line
