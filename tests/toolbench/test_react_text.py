"""The ReAct text format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.react_text import parse_react, write_react
from toolbench.records import FunctionCall


def _call(name: str, arguments: str) -> list[FunctionCall]:
    return [FunctionCall(id="", name=name, arguments=arguments)]


@pytest.mark.parametrize(
    ("text", "thought", "calls"),
    [
        ('Thought: t\nAction: f\nAction Input: {"a": 1}', "t", _call("f", '{"a": 1}')),
        ('t\nmore\n\nAction: `f`\n\nAction Input:\n```json\n{"a":\n 1}\n```', "t\nmore", _call("f", '{"a":\n 1}')),
        ("Action: f\nAction Input: {}\nObservation: invented\nAction: g", None, _call("f", "{}")),
        ("Action: f", None, _call("f", "")),
        ("only a thought, no Action: here", "only a thought, no Action: here", []),
        ("Thought:", None, []),
        ("", None, []),
        ("Observation: invented", None, []),
    ],
)
def test_parts_of_a_reply(text: str, thought: str | None, calls: list[FunctionCall]) -> None:
    assert parse_react(text) == (thought, calls)


@given(st.text())
def test_any_text_parses(text: str) -> None:
    thought, calls = parse_react(text)
    assert thought != ""
    assert len(calls) <= 1


def test_what_is_written_reads_back() -> None:
    text = write_react("why", {"name": "f", "arguments": '{"a": 1}'})
    assert parse_react(text) == ("why", _call("f", '{"a": 1}'))
