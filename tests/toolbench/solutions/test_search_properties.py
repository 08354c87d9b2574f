"""Whatever teacher and APIs say, a search ends, in one outcome, with a well-formed tree and well-formed requests."""

import dataclasses
import json
import typing
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import FUNCTIONS, World

from toolbench.dialogue import Message
from toolbench.records import FunctionCall, Outcome, Reply, Response
from toolbench.solutions import Rules, SearchResult, preset, training_samples

TEXT = st.one_of(st.text(max_size=10), st.text(st.sampled_from('a"\ud83d\ude00'), max_size=4))
"""Any characters; halves of an emoji, which `st.text` never draws, often."""
NAMES = st.one_of(st.sampled_from([*FUNCTIONS, "Finish", "", "nish", "for_weather", "weather"]), TEXT)
ARGUMENTS = st.one_of(
    st.sampled_from(
        [
            '{"return_type": "give_answer", "final_answer": "x"}',
            '{"return_type": "give_answer", "final_answer": {"a": [1]}}',
            '{"return_type": "give_up_and_restart"}',
            '{"return_type": "give_answer", "final_answer": "cut',
            '{"return_type": ["give_answer"]}',
            "[]",
            "{}",
            "",
            "null",
            '{"n": NaN}',
            "[" * 5000,
            '{"a":' * 1500 + "1" + "}" * 1500,
            '{"n": ' + "1" * 5000 + "}",
        ]
    ),
    st.builds(lambda text: json.dumps({"return_type": "give_answer", "final_answer": text}), TEXT),
    TEXT,
)
CALLS = st.builds(FunctionCall, id=st.just("same"), name=NAMES, arguments=ARGUMENTS)
REPLIES = st.one_of(
    st.builds(Reply, content=st.one_of(st.none(), TEXT), calls=st.lists(CALLS, max_size=3)),
    st.just(Reply(error="down")),
    st.just(Reply()),
)
RESPONSES = st.builds(Response, error=TEXT, response=st.dictionaries(TEXT, TEXT, max_size=2), status=st.integers(0, 12))
RULES: st.SearchStrategy[Rules] = st.builds(
    preset,
    st.sampled_from(["default", "toolbench"]),
    method=st.sampled_from(["dfsdt", "react", "ranked"]),
    width=st.integers(1, 3),
    max_depth=st.integers(1, 9),
    max_calls=st.integers(1, 25),
    answers=st.integers(1, 2),
    tries=st.integers(1, 3),
    max_observation_length=st.integers(1, 60),
    text_format=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(REPLIES, min_size=1, max_size=25), st.lists(RESPONSES, min_size=1, max_size=5), RULES)
def test_every_search_ends_well(replies: list[Reply], responses: list[Response], rules: Rules) -> None:
    world = World(replies, lambda number: responses[number % len(responses)])
    result = world.search(rules)
    assert result.outcome in typing.get_args(Outcome)
    assert (result.reason == "") == (result.outcome == "solved")
    assert result.replies == len(world.requests) <= _most(rules)
    json.dumps([dataclasses.asdict(result), world.requests, world.called], ensure_ascii=False).encode()
    _check_steps(result)
    _check_path(result, rules)
    for request in world.requests:
        _check_messages(request)
    if rules.samples_as_seen:
        assert all(sample[:-1] in world.requests for sample in training_samples(result, rules))
    assert training_samples(result, rules) or not result.path


def _most(rules: Rules) -> int:
    if rules.method == "react":
        return rules.tries * rules.max_depth
    return rules.max_calls + (0 if rules.use_last_reply else 2 * rules.width * rules.max_depth * rules.width)


def _check_steps(result: SearchResult) -> None:
    steps = result.steps
    assert [step.id for step in steps] == list(range(len(steps)))
    for step in steps[1:]:
        parent = steps[step.parent]
        assert 0 <= step.parent < step.id
        levels = (step.thought is not None) + 2 * (step.function is not None)
        assert step.depth == parent.depth + levels > parent.depth
        assert step.turn >= parent.turn
    assert [call.step for call in result.calls] == [step.id for step in steps if step.api_id]


def _check_path(result: SearchResult, rules: Rules) -> None:
    assert [result.steps[number].parent for number in result.path] == [0, *result.path][: len(result.path)]
    if result.outcome == "solved":
        assert result.path
        assert result.path[-1] == next(number for number in result.answers if not result.steps[number].pruned)
        assert result.steps[result.path[-1]].status == 3 or not rules.finish_ends_turn
        assert result.final_arguments == result.steps[result.path[-1]].arguments
    if result.outcome == "gave_up" and result.path:
        assert result.path[-1] in result.give_ups
    if result.outcome in ("failed", "out_of_budget"):
        assert result.path == []


def _check_messages(messages: list[Message]) -> None:
    assert [message["role"] for message in messages[:2]] == ["system", "user"]
    open_calls: list[Any] = []
    known: set[str] = set()
    for message in messages[2:]:
        if message["role"] == "tool":
            assert message["tool_call_id"] == open_calls.pop(0)
            assert isinstance(message["content"], str)
            continue
        assert open_calls == []
        assert message["role"] in ("assistant", "user")
        if message["role"] == "assistant":
            open_calls = [call["id"] for call in message.get("tool_calls", [])]
            assert known.isdisjoint(open_calls)
            known.update(open_calls)
            assert open_calls or isinstance(message["content"], str)
    assert open_calls == []
