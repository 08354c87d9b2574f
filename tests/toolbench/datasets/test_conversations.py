"""A conversation is what the model saw and said, and ends with its last word."""

import dataclasses
import json
from typing import Any

import pytest
from workshop import Factory, a_tool, an_api, journaled

from toolbench import dialogue
from toolbench.datasets.conversations import conversation
from toolbench.digests import digest, seed_of
from toolbench.records import Api, Conversation, Instruction, Message, Solution, Step, Tool


def plain(message: Message) -> dict[str, Any]:
    """A stored message in OpenAI's shape, as requests carry it."""
    found: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
    if message.tool_call_id is not None:
        found = {"role": message.role, "tool_call_id": message.tool_call_id, "content": message.content}
    return found


def test_only_the_model_s_turns_are_learnt_and_the_last_is_finish(factory: Factory) -> None:
    rows = list(factory.lake.rows(factory.dataset.view, Conversation))
    assert len(rows) > 10
    for row in rows:
        assert [m.train for m in row.messages] == [m.role == "assistant" for m in row.messages]
        assert [m.role for m in row.messages[:2]] == ["system", "user"]
        assert row.messages[-1].tool_calls[-1].name == "Finish"
        offered = {f["function"]["name"] for f in json.loads(row.tools)}
        assert {c.name for m in row.messages for c in m.tool_calls} <= offered | {dialogue.INVENTED}
        made = [c.id for m in row.messages for c in m.tool_calls]
        assert [m.tool_call_id for m in row.messages if m.role == "tool"] == made[:-1]


def test_every_turn_was_answered_to_exactly_these_messages(factory: Factory) -> None:
    """The journal knows each request by its digest: made again from the conversation, it must be there."""
    specs = {s.digest: s for s in factory.solutions.specs}
    solutions = {s.id: s for s in factory.lake.rows(factory.dataset.view, Solution)}
    requests = {digest_: {r["request"] for r in journaled(factory.lake, spec)} for digest_, spec in specs.items()}
    checked = 0
    for row in factory.lake.rows(factory.dataset.view, Conversation):
        solution = solutions[row.solution_id]
        turns = [solution.steps[i].turn for i in solution.path]
        messages = [plain(m) for m in row.messages]
        replies = [n for n, m in enumerate(row.messages) if m.role == "assistant"]
        if turns != sorted(range(1, len(replies) + 1)):
            continue  # the search came back from somewhere: it was told so in a message that is hidden here
        for turn, at in enumerate(replies, 1):
            body = {
                "model": solution.model,
                "messages": messages[:at],
                "seed": seed_of(solution.seed, turn),
                "temperature": factory.settings.teacher.temperature,
                "max_completion_tokens": factory.settings.teacher.max_output_tokens,
                "tools": json.loads(row.tools),
                "tool_choice": "auto",
            }
            assert digest(body, 32) in requests[solution.spec]
            checked += 1
    assert checked > 20


API = an_api("Sky", "Forecast")


def told(steps: list[Step]) -> Conversation:
    """The conversation along all of `steps`."""
    common: dict[str, Any] = {"group": "I1", "category": "Weather", "collection": "", "split": "train", "model": "m"}
    tokens: dict[str, Any] = {"prompt_digest": "", "seed": 0, "input_tokens": 0, "output_tokens": 0, "cost": 0.0}
    instruction = Instruction(
        id="i", combination_id="", text="Rain?", candidates=[API.id], relevant=[API.id], **common, **tokens
    )
    root = Step(id=0, parent=-1, turn=0, depth=0)
    solution = Solution(
        id="s", instruction_id="i", method="dfsdt", outcome="solved", reason="", final_answer="Rain.",
        steps=[root, *steps], path=[s.id for s in steps], calls=2, **common, **tokens,
    )  # fmt: skip
    tool: Tool = a_tool(API)
    apis: list[Api] = [API]
    return conversation(solution, instruction, apis, {tool.id: tool}, "spec")


def a_step(number: int, turn: int, **fields: Any) -> Step:
    return Step(id=number, parent=number - 1, turn=turn, depth=number, **fields)


def finished(number: int, turn: int, **fields: Any) -> Step:
    arguments = '{"return_type": "give_answer", "final_answer": "Rain."}'
    return a_step(number, turn, function="Finish", arguments=arguments, observation="ok", status=3, **fields)


def test_reasoning_is_no_part_of_it_and_invented_names_are_replaced() -> None:
    found = told(
        [
            a_step(
                1, 1, thought="So.", reasoning="SECRET", function="made_up", arguments="{}", observation="no", status=1
            ),
            finished(2, 2, thought="Done."),
        ]
    )
    assert "SECRET" not in json.dumps([dataclasses.asdict(m) for m in found.messages])
    assert found.messages[2].tool_calls[0].name == dialogue.INVENTED
    assert [m.role for m in found.messages] == ["system", "user", "assistant", "tool", "assistant"]
    # What was invented is shown for what followed it, and not taught.
    assert [m.train for m in found.messages] == [False, False, False, False, True]


@pytest.mark.parametrize("before", [1, 2])
def test_a_turn_with_several_calls_ends_with_its_finish(before: int) -> None:
    """What came back beside `Finish` was read by nobody: it is not the conversation's last word."""
    calls = [
        a_step(n, 1, function=API.function, arguments='{"city": "Oslo"}', observation="rain", status=0)
        for n in range(1, before + 1)
    ]
    found = told([*calls, finished(before + 1, 1)])
    assert found.messages[-1].role == "assistant"
    assert [c.name for c in found.messages[-1].tool_calls] == [API.function] * before + ["Finish"]
