"""What a model is shown of a task, and its own turns: the same words when it searches and when it is trained."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from toolbench.prompts import load
from toolbench.records import Step

Message = dict[str, Any]
"""A chat message in OpenAI's shape. It is shared between conversations: never change one."""

_PACKAGE = "toolbench.solutions"
FINISH = "Finish"
INVENTED = "invalid_hallucination_function_name"
"""What an unknown function is called in messages: a model that reads its own invention again would repeat it."""

NO_SUCH_FUNCTION = 1
"""Status code of a call to a function that was not offered."""

FINISH_DEFINITION: dict[str, Any] = {
    "name": FINISH,
    "description": "End the task. Call it with `give_answer` and `final_answer` as soon as you can answer the user in "
    "full; call it with `give_up_and_restart` when this attempt cannot lead to an answer and another should be tried.",
    "parameters": {
        "type": "object",
        "properties": {
            "return_type": {"type": "string", "enum": ["give_answer", "give_up_and_restart"]},
            "final_answer": {
                "type": "string",
                "description": "The complete answer, needed with `give_answer`; the user sees nothing else.",
            },
        },
        "required": ["return_type"],
    },
}


def opening(
    instruction: str, tools: Iterable[tuple[str, str]], functions: Sequence[str] = ()
) -> tuple[Message, Message]:
    """The system and the user message that every conversation about an instruction starts with.

    `tools`: name and description of each; `functions`: definitions as JSON, only for models that cannot call tools.
    """
    system = load(_PACKAGE, "system").render(tools=list(tools), functions=functions)
    task = load(_PACKAGE, "task").render(instruction=instruction)
    return {"role": "system", "content": system}, {"role": "user", "content": task}


def offered(definitions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The `tools` of a request: the candidates' functions and `Finish`."""
    return [{"type": "function", "function": function} for function in (*definitions, FINISH_DEFINITION)]


def said_in(turn: Sequence[Step], replace_all: bool = True) -> tuple[Message, ...]:
    """The messages of one turn: the assistant's, then one observation a call.

    `turn`: the steps of one reply, in order. Call ids are made from step ids, so that equal trees give equal bytes;
    nine letters and digits, because some endpoints accept no other. Without `replace_all` the assistant's message
    replaces an invented name in the first call only, as ToolBench does; an observation that is headed by another name
    than its call then says so in `name`.
    """
    assistant: Message = {"role": "assistant", "content": turn[0].thought}
    calls: list[dict[str, Any]] = []
    observations: list[Message] = []
    for step in turn:
        if step.function is None:
            continue
        key, shown = f"call{step.id:05d}", shown_name(step)
        name = shown if replace_all or not calls else step.function
        calls.append({"id": key, "type": "function", "function": {"name": name, "arguments": step.arguments}})
        heading = {} if name == shown else {"name": shown}
        observations.append({"role": "tool", "tool_call_id": key, **heading, "content": step.observation})
    if calls:
        assistant["tool_calls"] = calls
    return assistant, *observations


def json_in(text: str | None) -> Any:
    """The JSON value of a reply; teachers without structured output put it in a code fence. Raises ValueError."""
    bare = (text or "").strip()
    if bare.startswith("```"):
        bare = bare.partition("\n")[2].rpartition("```")[0]
    try:
        return json.loads(bare)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def shown_name(step: Step) -> str:
    """The function's name as messages give it: an invented one is replaced."""
    return INVENTED if step.status == NO_SUCH_FUNCTION else step.function or ""
