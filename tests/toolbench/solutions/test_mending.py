"""Half an emoji from a model or an API never reaches a table or a request."""

import json

import pytest
from scripted import ANSWER, World, says

from toolbench.records import FunctionCall, Reply, Response
from toolbench.solutions import Rules
from toolbench.solutions.mending import mended, mended_response

HALF = "\ud83d"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", ""),
        ("rain \U0001f327", "rain \U0001f327"),
        (HALF, "\ufffd"),
        (f"a{HALF}b\udc00", "a\ufffdb\ufffd"),
        ("\ude00" + HALF, "\ufffd\ufffd"),
        (HALF + "\ude00", "\U0001f600"),
        ("\ufeff" + HALF, "\ufeff\ufffd"),
    ],
)
def test_each_lone_surrogate_becomes_one_replacement_character(text: str, whole: str) -> None:
    assert mended(text) == whole


def test_a_sound_response_stays_the_same_object() -> None:
    response = Response(response={"sky": "\U0001f327"})
    assert mended_response(response) is response


@pytest.mark.parametrize("escaped", [False, True])
def test_a_search_gives_sound_text_from_a_broken_world(escaped: bool) -> None:
    def call(name: str, **arguments: str) -> FunctionCall:
        return FunctionCall(id="c", name=name, arguments=json.dumps(arguments, ensure_ascii=escaped))

    world = World(
        [
            Reply(content=f"t{HALF}", reasoning=f"r{HALF}", calls=[call("rain_for_weather", city=f"B{HALF}")]),
            Reply(content=None, calls=[call(f"snow{HALF}"), call(f"{HALF}rate_for_money")]),
            Reply(content=None, calls=[call("Finish", return_type="give_answer", final_answer=f"wet{HALF}")]),
        ],
        lambda _: Response(error=f"e{HALF}", response={f"k{HALF}": [f"v{HALF}"]}),
    )
    result = world.search(Rules())
    json.dumps(world.requests, ensure_ascii=False).encode()
    assert world.called == [("rain_for_weather", {"city": "B\ufffd"})]
    assert result.calls[0].arguments == '{"city":"B\ufffd"}'
    assert result.calls[0].response == Response(error="e\ufffd", response={"k\ufffd": ["v\ufffd"]})
    assert (result.steps[1].thought, result.steps[1].reasoning) == ("t\ufffd", "r\ufffd")
    assert result.steps[1].observation == '{"error": "e\ufffd", "response": {"k\ufffd": ["v\ufffd"]}}'
    assert [step.function for step in result.steps[2:4]] == ["snow\ufffd", "\ufffdrate_for_money"]
    assert result.final_answer == "wet\ufffd"


def test_why_a_teacher_failed_is_sound_too() -> None:
    result = World([Reply(error=f"cut {HALF}")]).search(Rules())
    assert result.reason == "the teacher failed: cut \ufffd"
    assert result.steps[1].thought == "cut \ufffd"


def test_a_ranking_reply_may_be_broken() -> None:
    replies = [says("a"), says("b"), says(f"{HALF} A"), says(HALF), says(None, ANSWER)]
    assert World(replies).search(Rules(method="ranked")).outcome == "solved"
