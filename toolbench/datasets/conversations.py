"""A solution path as a training conversation: loss on the assistant's turns, and on nothing else."""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby

from toolbench.finish import FINISH, system_message, task_message
from toolbench.records import Api, Conversation, FunctionCall, Instruction, Message, Solution, Step, Tool


def conversation(
    solution: Solution, instruction: Instruction, candidates: Sequence[Api], tools: Mapping[str, Tool], spec: str
) -> Conversation:
    """The conversation along `solution.path`.

    Branches that were left, messages that showed the model its earlier tries, and reasoning content are not part of it.
    """
    functions = [json.loads(a.definition) for a in candidates] + [FINISH]
    described = {tools[a.tool_id].name: tools[a.tool_id].description for a in candidates}
    messages = [
        Message(role="system", content=system_message(described)),
        Message(role="user", content=task_message(instruction.text)),
    ]
    path = [solution.steps[i] for i in solution.path]
    for _, steps in groupby(path, key=lambda step: step.turn):
        messages += _turn(list(steps))
    return Conversation(
        id=solution.id,
        instruction_id=instruction.id,
        solution_id=solution.id,
        group=solution.group,
        category=solution.category,
        collection=solution.collection,
        split=solution.split,
        tools=json.dumps([{"type": "function", "function": f} for f in functions], ensure_ascii=False),
        messages=messages,
        model=solution.model,
        spec=spec,
    )


def _turn(steps: Sequence[Step]) -> list[Message]:
    """One reply with all its calls, and what each came back with; the last call of a path, `Finish`, gets no answer."""
    thought = next((s.thought for s in steps if s.thought), None)
    called = [s for s in steps if s.function is not None]
    calls = [FunctionCall(id=f"call_{s.id}", name=s.function or "", arguments=s.arguments or "") for s in called]
    answers = [
        Message(role="tool", tool_call_id=f"call_{s.id}", content=s.observation or "") for s in called if s.status != 3
    ]
    return [Message(role="assistant", content=thought, tool_calls=calls, train=True), *answers]
