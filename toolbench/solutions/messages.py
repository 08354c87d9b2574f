"""What the model is shown: the conversation of a step, the diversity and rank prompts."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolbench import dialogue
from toolbench.dialogue import FINISH_DEFINITION, Message
from toolbench.digests import digest
from toolbench.prompts import load
from toolbench.react_text import write_react
from toolbench.records import Step
from toolbench.solutions.rules import Rules
from toolbench.solutions.tree import Node, lineage

_PACKAGE = __name__.rpartition(".")[0]
_PROMPTS = ("system", "task", "diversity", "rank", "rank_question")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One instruction with what may be called for it."""

    instruction: str
    definitions: list[dict[str, Any]]
    """Function definitions (name, description, parameters) of the candidate APIs; `Finish` is added to them."""
    functions: dict[str, str]
    """Function name to API id, in the order of `definitions`."""
    tools: list[tuple[str, str]] = field(default_factory=list)
    """Name and description of each tool behind the functions, for the system prompt."""
    context: str = ""
    """What the model should know besides the instruction, such as what was said before; ends the system prompt."""
    seed: int = 0
    """Fixes the draw of one give-up among several."""


def prompt_digest() -> str:
    """16 hex digits over all prompts of the search, for provenance."""
    return digest([load(_PACKAGE, name).digest for name in _PROMPTS])


def opening(task: Task, rules: Rules) -> tuple[Message, ...]:
    """The system and the user message that every conversation of a search starts with."""
    functions = [*task.definitions, FINISH_DEFINITION] if rules.text_format else []
    shown = [json.dumps(f, ensure_ascii=False) for f in functions]
    system, user = dialogue.opening(task.instruction, task.tools, shown)
    if task.context:
        system = {**system, "content": f"{system['content']}\n\n{task.context}"}
    return system, user


def offered(task: Task, rules: Rules) -> list[dict[str, Any]] | None:
    """The `tools` of a request; None for a teacher that cannot call tools."""
    return None if rules.text_format else dialogue.offered(task.definitions)


def said_in(turn: Sequence[Step], rules: Rules) -> tuple[Message, ...]:
    """The messages of one turn, in the ReAct text format if the teacher cannot call tools."""
    if not rules.text_format:
        # ToolBench renames calls in a message that its tree searches, not its chains, have copied after the first call.
        return dialogue.said_in(turn, replace_all=rules.replace_all_names or rules.method == "react")
    made = next((step for step in turn if step.function is not None), None)
    if made is None:
        return ({"role": "assistant", "content": write_react(turn[0].thought, None)},)
    call = {"name": dialogue.shown_name(made), "arguments": made.arguments}
    assistant = {"role": "assistant", "content": write_react(turn[0].thought, call)}
    return assistant, {"role": "user", "content": f"Observation: {made.observation}"}


def diversity(node: Node, list_all: bool) -> Message | None:
    """Asks for something else than what was tried from `node`; None where no call was made below it."""
    tried = [
        {
            "name": call.function,
            "arguments": call.arguments,
            "function_output": call.observation,
            "mento-carlo-action-value": 0.0,
        }
        for child in node.children
        for call in _first_calls(child, list_all)
    ]
    if not tried:
        return None
    candidates = json.dumps(tried, indent=2, ensure_ascii=False)
    return {"role": "user", "content": _render("diversity", candidates=candidates, former_observation=node.observation)}


def _first_calls(node: Node, list_all: bool) -> list[Node]:
    """The first calls on the way down from `node` along first children: all of that reply, or its first."""
    while node.function is None and node.children:
        node = node.children[0]
    if node.function is None:
        return []
    calls = [node]
    while list_all and node.children and node.children[0].turn == node.turn:
        node = node.children[0]
        calls.append(node)
    return calls


def rank_request(task: Task, base: Node, first: Node, second: Node) -> list[Message]:
    """Asks which of two ends of replies sampled at `base` is better, A (`first`) or B (`second`)."""
    common, a, b = (list(reversed(lineage(node)))[1:] for node in (base, first, second))
    a, b = a[len(common) :], b[len(common) :]
    candidates = {"candidates": {"A": _as_data(a), "B": _as_data(b)}}
    system = _render(
        "rank",
        instruction=task.instruction,
        common=_numbered(common) or "None",
        a=_numbered(a),
        b=_numbered(b),
        candidates=json.dumps(candidates, indent=2, ensure_ascii=False),
    )
    return [{"role": "system", "content": system}, {"role": "user", "content": _render("rank_question")}]


def _numbered(nodes: Iterable[Node]) -> str:
    lines: list[str] = []
    for node in nodes:
        if node.thought is not None:
            lines.append(f"Thought: {node.thought}")
        if node.function is not None:
            lines += [f"Action: {node.function}", f"Action Input: {node.arguments}"]
        if node.observation:
            lines.append(f"Observation: {node.observation}")
    return "".join(f"step_{number}: {line}\n\n" for number, line in enumerate(lines, 1))


def _as_data(nodes: Iterable[Node]) -> list[dict[str, str | None]]:
    return [
        {"thought": n.thought, "name": n.function, "arguments": n.arguments, "function_output": n.observation}
        for n in nodes
    ]


def first_is_better(answer: str | None) -> bool:
    """Reads a rank reply, `A`, `B.`, `Candidate a`: the last letter that stands alone decides, none means B.

    Capitals go first, because a small `a` is mostly an article.
    """
    text = answer or ""
    letters = re.findall(r"\b[AB]\b", text) or re.findall(r"\b[ab]\b", text)
    return letters[-1:] in (["A"], ["a"])


def _render(name: str, **values: Any) -> str:
    return load(_PACKAGE, name).render(**values)
