"""A solution's decision tree, flattened for a page: a chain of steps is a list, and only a fork opens a level.

Flat events instead of a nested structure: a template then needs no recursion, however deep a tree is.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from toolbench.records import Solution, Step
from toolbench.report.words import status_word


@dataclass(frozen=True, slots=True)
class Branch:
    """One of several tries at a fork begins."""

    kind: ClassVar[str] = "branch"

    number: int
    of: int
    steps: int
    """Steps of the whole subtree."""
    fate: str
    """How it ended, in words."""
    chosen: bool


@dataclass(frozen=True, slots=True)
class End:
    """The branch that was opened last ends."""

    kind: ClassVar[str] = "end"


@dataclass(frozen=True, slots=True)
class StepView:
    """One step with what is to be said about it."""

    kind: ClassVar[str] = "step"

    step: Step
    chosen: bool
    status: str
    """Code and word; empty without a call."""
    tone: str
    """good, bad or plain."""


Event = Branch | End | StepView


def events(solution: Solution) -> list[Event]:
    """The tree below the root in pre-order."""
    children: dict[int, list[Step]] = defaultdict(list)
    for step in solution.steps:
        children[step.parent].append(step)
    sizes, last = _subtrees(solution.steps)
    chosen = set(solution.path)
    out: list[Event] = []
    todo: list[Event | Step] = []

    def descend(steps: list[Step]) -> None:
        # A stack: what is to come first is put last.
        for position, step in reversed(list(enumerate(steps, 1))):
            if len(steps) == 1:
                todo.append(step)
                continue
            fate = _fate(solution.steps[last[step.id]], step.id in chosen)
            todo.extend((End(), step, Branch(position, len(steps), sizes[step.id], fate, step.id in chosen)))

    descend(children[0])
    while todo:
        item = todo.pop()
        if isinstance(item, Step):
            out.append(_view(item, item.id in chosen))
            descend(children[item.id])
        else:
            out.append(item)
    return out


def tried_again(steps: Sequence[Step]) -> int:
    """How often the search went back to a step to try another way."""
    return len(steps) - 1 - len({step.parent for step in steps[1:]}) if steps else 0


def _subtrees(steps: Sequence[Step]) -> tuple[list[int], list[int]]:
    """Per step, the size of its subtree and the id of the last step made in it; a parent precedes its children."""
    sizes, last = [1] * len(steps), list(range(len(steps)))
    for step in reversed(steps):
        if 0 <= step.parent < step.id:
            sizes[step.parent] += sizes[step.id]
            last[step.parent] = max(last[step.parent], last[step.id])
    return sizes, last


def _fate(end: Step, chosen: bool) -> str:
    if chosen:
        return "on the chosen path"
    if end.status == 3:
        return "reached an answer that was not chosen"
    if end.status == 4:
        return "left: gave up"
    if end.status == -1:
        return "left: the teacher failed"
    return "left: pruned" if end.pruned else "left without an answer"


def _view(step: Step, chosen: bool) -> StepView:
    status = "" if step.status is None else f"{step.status} {status_word(step.status)}"
    tone = "plain" if step.status is None else "good" if step.status in (0, 3) else "bad"
    return StepView(step, chosen, status, tone)
