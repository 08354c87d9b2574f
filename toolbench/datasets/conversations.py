"""A solution path as a training conversation: loss on the assistant's turns, and on nothing else."""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from toolbench import dialogue
from toolbench.records import Api, Conversation, FunctionCall, Instruction, Message, Solution, Tool


def conversation(
    solution: Solution, instruction: Instruction, candidates: Sequence[Api], tools: Mapping[str, Tool], spec: str
) -> Conversation:
    """The conversation along `solution.path`, in the words of the search; it ends with the call of `Finish`.

    Branches that were left, messages that showed the model its earlier tries, and reasoning content are not part of it.
    """
    described = {a.tool_id: (a.tool, tools[a.tool_id].description) for a in candidates}
    messages = list(dialogue.opening(instruction.text, described.values()))
    path = [solution.steps[i] for i in solution.path]
    for _, steps in groupby(path, key=lambda step: step.turn):
        messages += dialogue.said_in(list(steps))
    while messages[-1]["role"] == "tool":
        messages.pop()  # nobody reads what came back in the turn that called `Finish`
    functions = dialogue.offered(json.loads(a.definition) for a in candidates)
    return Conversation(
        id=solution.id,
        instruction_id=instruction.id,
        solution_id=solution.id,
        group=solution.group,
        category=solution.category,
        collection=solution.collection,
        split=solution.split,
        tools=json.dumps(functions, ensure_ascii=False),
        messages=[_record(m) for m in messages],
        model=solution.model,
        spec=spec,
    )


def _record(message: Mapping[str, Any]) -> Message:
    calls = [FunctionCall(id=call["id"], **call["function"]) for call in message.get("tool_calls", ())]
    return Message(
        role=message["role"],
        content=message["content"],
        tool_calls=calls,
        tool_call_id=message.get("tool_call_id"),
        # A call of a function that was never offered is shown for what followed it, and never taught.
        train=message["role"] == "assistant" and all(call.name != dialogue.INVENTED for call in calls),
    )
