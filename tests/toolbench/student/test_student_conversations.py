"""Conversations from ToolBench's files and from tables."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from student_conversations import TEMPLATE, a_conversation

from toolbench.errors import SourceError
from toolbench.records import Conversation, Message
from toolbench.schemas import to_table
from toolbench.student import Making, UnusableConversation, samples
from toolbench.student.conversations import read
from toolbench.student.conversations_answers import from_answer
from toolbench.student.conversations_released import functions_in, released, turn_in
from toolbench.student.conversations_words import tools_in

SYSTEM = (
    "You are an agent.\nYou have access of the following tools:\n1.rain: It rains,\nor not.\n2.snow: Cold\n\n"
    "Specifically, you have access to the following APIs: "
)
FUNCTIONS = [
    {
        "name": "rain_for_weather",
        "description": "It's rain",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "", "example_value": "Oslo"}},
            "required": ["city"],
            "optional": [],
        },
    },
    {"name": "Finish", "description": "End", "parameters": {"type": "object", "properties": {}}},
]


def item(step: int, *said: tuple[str, str], query: str = "How much rain?") -> dict[str, Any]:
    """One item of the released data."""
    opening = [("system", SYSTEM + str(FUNCTIONS)), ("user", f"\n{query}\nBegin!\n")]
    told = [{"from": who, "value": text} for who, text in (*opening, *said)]
    return {"id": f"Step {step}: {query}", "conversations": told}


CALL = ("assistant", '\nThought: Look.\nAction: rain_for_weather\nAction Input: {"city": "Oslo"}')
WET = ("function", '{"error": "", "response": "3 mm"}')
OTHER = ("user", "This is not the first time you try this task.")
INVENTED = ("assistant", "\nThought: \nAction: invalid_hallucination_function_name\nAction Input: {}")
FINISH = ("assistant", '\nThought: \nAction: Finish\nAction Input: {"return_type": "give_answer", "final_answer": "3"}')
GIVE_UP = ("assistant", '\nThought: No.\nAction: Finish\nAction Input: {"return_type": "give_up_and_restart"}')


def found(path: Path) -> list[Conversation]:
    """The conversations of a path, nothing else among them."""
    rows = list(read(path))
    assert all(isinstance(row, Conversation) for row in rows), rows
    return [row for row in rows if isinstance(row, Conversation)]


def problems(path: Path) -> list[tuple[str, str]]:
    return [(row.reason, str(row)) for row in read(path) if isinstance(row, UnusableConversation)]


def test_items_of_one_path_become_one_conversation(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    items = [
        item(1, CALL), item(2, CALL, WET, OTHER, INVENTED), item(3, CALL, WET, INVENTED, WET, FINISH),
        item(1, CALL, query="And snow?"), item(1, FINISH, query="And snow?"),
    ]  # fmt: skip
    path.write_text(json.dumps(items))
    first, second, third = found(path)
    assert [m.role for m in first.messages] == ["system", "user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert [m.train for m in first.messages if m.role == "assistant"] == [True, False, True]
    assert [m.content for m in first.messages if m.role == "assistant"] == ["Look.", None, None]
    assert first.messages[1].content == "How much rain?"
    assert "- rain: It rains, or not.\n- snow: Cold" in (first.messages[0].content or "")
    assert first.messages[2].tool_calls[0].arguments == '{"city": "Oslo"}'
    assert first.messages[3].tool_call_id == first.messages[2].tool_calls[0].id
    assert (first.id, second.id, third.id) == ("train.json#2", "train.json#3", "train.json#4")
    rain, finish = (entry["function"] for entry in json.loads(first.tools))
    assert rain["parameters"]["properties"]["city"]["examples"] == ["Oslo"]
    assert "optional" not in rain["parameters"]
    assert finish["name"] == "Finish"
    assert finish["description"].startswith("End the task"), "in the words of our search"


def test_giving_up_is_learned_by_choice_alone(tmp_path: Path, make_tokenizer: Callable[[str | None], Any]) -> None:
    path, tokenizer = tmp_path / "train.json", make_tokenizer(TEMPLATE)
    path.write_text(json.dumps([item(2, CALL, WET, GIVE_UP), item(2, CALL, WET, FINISH, query="Else?")]))
    without = list(samples(read(path), tokenizer, Making()))
    assert [made.problem.reason if made.problem else "" for made in without] == ["gave_up", ""]
    assert all(made.sample for made in samples(read(path), tokenizer, Making(give_ups=True)))
    per_turn = [made for made in samples(read(path), tokenizer, Making(per_turn=True)) if made.sample]
    assert [made.conversation.id for made in per_turn if made.conversation] == ["train.json#1#2", "train.json#1#4"]


def test_what_is_no_conversation_is_told_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    silent = item(1, CALL)
    silent["conversations"][0]["value"] = "No functions."
    broken = [7, {"id": "x"}, item(1, ("robot", "")), {"conversations": [{"from": "user", "value": 3}]}]
    late = [item(1, WET, query="A?"), silent, item(1, query="B?"), item(1, CALL, query="")]
    path.write_text(json.dumps([*broken, *late, item(1, FINISH)]))
    assert [(reason, text.partition(" ")[0]) for reason, text in problems(path)] == [
        *(("malformed", f"train.json#{n}") for n in range(5)), ("no_functions", "train.json#5"),
        ("malformed", "train.json#6"), ("malformed", "train.json#7"),
    ]  # fmt: skip
    assert all("\n" not in text for _, text in problems(path))
    assert sum(isinstance(row, Conversation) for row in read(path)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"id": "Step 1: x", "conv', "cannot be read to its end"),
        ("plain text", "holds no conversations"),
        ("PAR1 and nothing more", "is no table of conversations"),
    ],
)
def test_a_file_that_breaks_off_is_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "train.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=message) as caught:
        list(read(path))
    assert "\n" not in str(caught.value)


def test_a_folder_without_any_and_a_missing_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no conversations in"):
        list(read(tmp_path))
    with pytest.raises(SourceError, match="gone cannot be read: No such file"):
        list(read(tmp_path / "gone"))


def test_a_table_is_read_as_it_is(tmp_path: Path) -> None:
    rows = [a_conversation(f"c{n}") for n in range(70)]
    pq.write_table(to_table(Conversation, rows), tmp_path / "part.parquet")
    assert found(tmp_path) == rows
    pq.write_table(to_table(Conversation, rows).drop_columns(["tools"]), tmp_path / "part.parquet")
    with pytest.raises(SourceError, match="has no column tools"):
        list(read(tmp_path))


def test_items_are_read_one_by_one() -> None:
    class Endless:
        """A list that never ends; whoever wants all of it never returns."""

        def __init__(self) -> None:
            self.text = self._text()

        def _text(self) -> Iterator[bytes]:
            yield b"["
            for number in range(10_000):
                yield json.dumps(item(1, FINISH, query=f"Question {number}?")).encode() + b","

        def read(self, size: int) -> bytes:
            return next(self.text) if size else b""

    rows = released(Endless(), "endless")  # type: ignore[arg-type]
    assert [next(rows).id for _ in range(3)] == ["endless#0", "endless#1", "endless#2"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        (CALL[1], ("Look.", ("rain_for_weather", '{"city": "Oslo"}'))),
        ("\nAction: a\nAction Input: {}", (None, ("a", "{}"))),
        ("Thought: only this", ("only this", None)),
        ("Thought: Action: is a word\nAction: f\nAction Input: {\n}", ("Action: is a word", ("f", "{\n}"))),
        ("", (None, None)),
    ],
)
def test_turns_written_as_text(text: str, turn: object) -> None:
    assert turn_in(text) == turn


@pytest.mark.parametrize("deep", ["[{" * 50_000, "[{'a': " + "(" * 5_000, "[{'name': 1}]", "[{'name': 'a'}", ""])
def test_lists_of_functions_that_are_none(deep: str) -> None:
    assert functions_in("You may call: " + deep) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["answer_generation", "valid_data", "train_messages", "function", "query", "role", "content"]
                ),
                x,
            )
        ),
    )
)
@settings(max_examples=60, deadline=None)  # fmt: skip
def test_an_answer_of_any_shape_is_refused_in_one_sentence(document: Any) -> None:
    for given_one in (document, {"answer_generation": document}):
        with pytest.raises(UnusableConversation) as caught:
            from_answer(given_one, "x.json")
        assert caught.value.reason in ("malformed", "no_answer", "no_functions")


def test_half_an_emoji_does_no_harm(tmp_path: Path, make_tokenizer: Callable[[str | None], Any]) -> None:
    (tmp_path / "a.json").write_text(json.dumps([item(1, ("assistant", "Thought: \ud83d\n" + FINISH[1][10:]))]))
    (row,) = found(tmp_path)
    assert row.messages[2].content in ("\ufffd", "?")
    (made,) = samples([row], make_tokenizer(TEMPLATE), Making())
    assert made.sample


def as_released(document: dict[str, Any]) -> list[dict[str, Any]]:
    """A real answer's samples as the released data has them."""
    generation = document["answer_generation"]
    functions = str(generation["function"])
    items = []
    for step, messages in enumerate(generation.get("train_messages", []), 1):
        said = []
        for message in messages:
            text = message["content"] or ""
            if message["role"] == "system":
                text += "\n\nSpecifically, you have access to the following APIs: " + functions
            if message["role"] == "assistant":
                text = f"\nThought: {text}"
                if call := message.get("function_call"):
                    text += f"\nAction: {call['name']}\nAction Input: {call['arguments']}"
            said.append({"from": message["role"], "value": text})
        items.append({"id": f"Step {step}: {generation['query']}", "conversations": said})
    return items


def test_real_answers_and_the_same_as_training_data_say_the_same(data_dir: Path, tmp_path: Path) -> None:
    answers = [row for row in read(data_dir / "answer") if isinstance(row, Conversation)]
    assert len(answers) == 13
    assert [reason for reason, _ in problems(data_dir / "answer")] == ["no_answer", "no_answer"]
    documents = [json.loads(p.read_bytes()) for p in sorted((data_dir / "answer").rglob("*.json"))]
    items = [one for document in documents for one in as_released(document)]
    (tmp_path / "train.json").write_text(json.dumps(items))
    rows = found(tmp_path)
    assert len(rows) == len(answers)
    for row, answer in zip(rows, answers, strict=True):
        assert [_stripped(m) for m in row.messages] == [_stripped(m) for m in answer.messages]
        assert json.loads(row.tools) == json.loads(answer.tools)
        assert tools_in(row.messages[0].content or "") == []
        assert any(m.train for m in row.messages)
    kept = [answer for answer in answers if "G3_answer/21_" in answer.id]
    assert [m.train for m in kept[0].messages if m.role == "assistant"] == [True, False, True, True]


def _stripped(message: Message) -> Message:
    """Without what the text form cannot tell: blanks around a thought or arguments."""
    calls = [replace(call, arguments=call.arguments.strip()) for call in message.tool_calls]
    return replace(message, content=(message.content or "").strip() or None, tool_calls=calls)


def test_only_the_chosen_path_of_a_real_tree_is_learned(data_dir: Path) -> None:
    def arguments(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
        if node["node_type"] == "Action Input":
            yield ("", node["description"])
        for child in node["children"]:
            yield from arguments(child)

    left_out = 0
    for path in sorted((data_dir / "answer").rglob("*.json")):
        document = json.loads(path.read_bytes())
        chosen = document["answer_generation"]
        if not chosen["valid_data"]:
            continue
        row = from_answer(document, path.name)
        inputs = [call.arguments for m in row.messages for call in m.tool_calls]
        assert inputs[-1] == chosen["final_answer"]
        every = [text for _, text in arguments(document["tree"]["tree"]) if text]
        assert set(inputs) <= set(every)
        left_out += len(every) - len(inputs)
    assert left_out > 0, "there are branches that were left"
