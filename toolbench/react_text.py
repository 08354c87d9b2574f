"""Calls written as text, for teachers that cannot call tools: the ReAct format (Yao et al. 2023, arXiv 2210.03629)."""

import re
from collections.abc import Mapping
from typing import Any

from toolbench.records import FunctionCall

_ACTION = re.compile(r"^[ \t]*Action[ \t]*:[ \t]*(?P<name>[^\n]*)", re.MULTILINE)
_INPUT = re.compile(r"\s*^[ \t]*Action Input[ \t]*:[ \t]*", re.MULTILINE)
_INVENTED = re.compile(r"^[ \t]*Observation[ \t]*:", re.MULTILINE)
_FENCE = re.compile(r"^```\w*\s*(.*?)\s*```$", re.DOTALL)


def parse_react(text: str) -> tuple[str | None, list[FunctionCall]]:
    """Thought and calls of a reply `Thought: … Action: … Action Input: …`: one call at most, none without `Action`.

    What follows an `Observation:` is the model's own invention and is dropped, as is a code fence around the input.
    """
    invented = _INVENTED.search(text)
    said = text[: invented.start()] if invented else text
    action = _ACTION.search(said)
    thought = said[: action.start()] if action else said
    thought = thought.strip().removeprefix("Thought:").strip()
    if not action:
        return thought or None, []
    label = _INPUT.match(said, action.end())
    arguments = said[label.end() :].strip() if label else ""
    fenced = _FENCE.match(arguments)
    name = action["name"].strip().strip("`").strip()
    return thought or None, [FunctionCall(id="", name=name, arguments=fenced[1] if fenced else arguments)]


def write_react(thought: str | None, call: Mapping[str, Any] | None) -> str:
    """The same reply as text again; `call` has `name` and `arguments`."""
    lines = [f"Thought: {thought or ''}".rstrip()]
    if call:
        lines += [f"Action: {call['name']}", f"Action Input: {call['arguments']}"]
    return "\n".join(lines)
