"""Small conversations to learn from, and the chat templates they go through."""

import json
import re
from pathlib import Path

from toolbench.records import Conversation, FunctionCall, Message, Split

TEMPLATE = (Path(__file__).parent / "templates" / "chatml.jinja").read_text()
"""Like ChatML, with functions and calls, the assistant's text marked by `{% generation %}`."""

UNMARKED = re.sub(r"\{%-? (end)?generation %\}\n", "", TEMPLATE)
"""The same without the marks."""

TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "description": what, "parameters": {"type": "object", "properties": {}}},
    }
    for name, what in (("rain_for_weather", "Rain in a city"), ("Finish", "End the task"))
]
CITIES = ("Oslo", "Paris", "Lima", "Cairo", "Quito", "Delhi", "Hanoi", "Accra")


def a_conversation(
    name: str,
    city: str = "Oslo",
    split: Split = "train",
    *,
    observation: str = '{"error": "", "response": {"millimetres": 3}}',
    second_learned: bool = True,
) -> Conversation:
    """System, user, a call without a thought, its observation, a thought with the call of `Finish`."""
    where = json.dumps({"city": city})
    answer = json.dumps({"return_type": "give_answer", "final_answer": f"3 mm of rain in {city}."})
    return Conversation(
        id=name, instruction_id=name, solution_id=name, group="I1", category="Weather", collection="", split=split,
        tools=json.dumps(TOOLS), model="some-teacher",
        messages=[
            Message(role="system", content="You call functions."),
            Message(role="user", content=f"How much does it rain in {city}? Say <assistant> nothing of snow."),
            Message(
                role="assistant", train=True,
                tool_calls=[FunctionCall(id="call00001", name="rain_for_weather", arguments=where)],
            ),
            Message(role="tool", tool_call_id="call00001", content=observation),
            Message(
                role="assistant", content="Now I know.", train=second_learned,
                tool_calls=[FunctionCall(id="call00002", name="Finish", arguments=answer)],
            ),
        ],
    )  # fmt: skip


TRAINING = [a_conversation(f"t{n}", city) for n, city in enumerate(CITIES)]
HELD_OUT = [a_conversation("h0", "Rome", "instruction"), a_conversation("h1", "Kyiv", "tool")]
TEXTS = [m.content or m.tool_calls[0].arguments for c in TRAINING for m in c.messages]
