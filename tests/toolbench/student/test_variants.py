"""Conversations with other values in place of their own."""

import json
import re
from datetime import date, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from student_conversations import TRAINING

from toolbench.records import Conversation, FunctionCall, Message
from toolbench.student.variants import variants

LONG = re.compile(r"\d{1,2} [A-Z][a-z]+ \d{4}")


def asked(question: str, arguments: dict[str, Any], response: Any, answer: str) -> Conversation:
    """A question, one call, its response, and the answer."""
    finish = json.dumps({"return_type": "give_answer", "final_answer": answer}, ensure_ascii=False)
    told = json.dumps({"error": "", "response": response}, ensure_ascii=False)
    first = FunctionCall(id="c1", name="sun_for_sky2", arguments=json.dumps(arguments, ensure_ascii=False))
    return Conversation(
        id="c", instruction_id="i", solution_id="s", group="I1", category="Sky", collection="", split="train",
        tools="[]", model="m",
        messages=[
            Message(role="user", content=question),
            Message(role="assistant", content="I look it up.", tool_calls=[first], train=True),
            Message(role="tool", tool_call_id="c1", content=told),
            Message(
                role="assistant", tool_calls=[FunctionCall(id="c2", name="Finish", arguments=finish)], train=True
            ),
        ],
    )  # fmt: skip


SUN = asked(
    "When does the sun rise in Tromsø on 5 July 2024 at latitude 69.65, for ticket AB-12? In Oslo it is 4.",
    {"place": "Tromsø", "date": "2024-07-05", "latitude": 69.65, "ticket": "AB-12", "unit": "h"},
    {"rises": "never", "next": "2024-07-26", "hours": 24, "valid": True},
    "In Tromsø on 2024-07-05, at 69.65 (AB-12): never, next on 26 July 2024, 24 hours.",
)


def said(conversation: Conversation) -> tuple[str, dict[str, Any], dict[str, Any], str]:
    """The four parts again."""
    user, call, tool, finish = conversation.messages
    answer = json.loads(finish.tool_calls[0].arguments)["final_answer"]
    return user.content or "", json.loads(call.tool_calls[0].arguments), json.loads(tool.content or ""), answer


def test_what_is_asked_called_told_and_answered_stays_one_story() -> None:
    for changed in variants(SUN, 20, seed=1):
        question, arguments, told, answer = said(changed)
        response = told["response"]
        assert arguments["place"] in question
        assert arguments["ticket"] in question
        assert str(arguments["latitude"]) in question
        day = datetime.strptime(LONG.findall(question)[0], "%d %B %Y").date()
        assert date.fromisoformat(arguments["date"]) == day
        assert arguments["date"] in answer
        later = datetime.strptime(LONG.findall(answer)[0], "%d %B %Y").date()
        assert date.fromisoformat(response["next"]) == later
        for value in (arguments["place"], arguments["ticket"], response["rises"], f"{response['hours']} hours"):
            assert value in answer
        assert (told["error"], response["valid"], arguments["unit"]) == ("", True, "h"), "what is no value stays"


def test_every_value_is_another_and_nothing_else_is() -> None:
    old, (new,) = said(SUN), variants(SUN, 1, seed=1)
    question, arguments, told, _ = said(new)
    assert re.fullmatch(
        r"When does the sun rise in [A-Z][a-z]{4}ø on \d+ [A-Z][a-z]+ 20\d\d at latitude [1-9]\d\.[1-9]\d, "
        r"for ticket [A-Z]{2}-[1-9]\d\? In Oslo it is [1-9]\.",
        question,
    )
    assert not set(map(str, arguments.values())) & (set(map(str, old[1].values())) - {"h"})
    assert told["response"]["rises"] != "never"
    kept = [(m.role, m.tool_call_id, m.train, [(c.id, c.name) for c in m.tool_calls]) for m in SUN.messages]
    assert [(m.role, m.tool_call_id, m.train, [(c.id, c.name) for c in m.tool_calls]) for m in new.messages] == kept


def test_they_differ_from_each_other_and_are_the_same_another_time() -> None:
    first = list(variants(SUN, 5, seed=1))
    assert first == list(variants(SUN, 5, seed=1))
    assert len({said(one)[0] for one in first}) == 5
    assert said(next(variants(SUN, 1, seed=2)))[0] != said(first[0])[0]
    assert not list(variants(SUN, 0, seed=1))


def test_a_value_that_reads_as_a_parameter_does_not_rename_it() -> None:
    same = asked("Look up code 12 as code, please.", {"code": "code", "12": 12}, {"code": 12}, "It is code 12.")
    (new,) = variants(same, 1, seed=3)
    _, arguments, told, _ = said(new)
    assert (arguments.keys(), told["response"].keys()) == ({"code", "12"}, {"code"})
    assert arguments["code"] != "code"
    assert arguments["12"] == told["response"]["code"] != 12


def test_a_conversation_without_values_is_as_it_was() -> None:
    plain = asked("Is it dark?", {"where": "here"}, {"dark": None}, "Nobody knows.")
    assert list(variants(plain, 2, seed=0)) == [plain, plain]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.text(), st.dictionaries(st.text(), JSON, max_size=4), JSON, st.text(), st.integers(0, 9))
def test_whatever_is_in_it_json_stays_json(
    question: str, arguments: dict[str, Any], response: Any, answer: str, seed: int
) -> None:
    (changed,) = variants(asked(question, arguments, response, answer), 1, seed)
    assert [type(part) for part in said(changed)] == [str, dict, dict, str]
    assert {key for key in said(changed)[1] if not re.search(r"\d", key)} == {
        key for key in arguments if not re.search(r"\d", key)
    }
    assert next(variants(TRAINING[0], 1, seed)).messages[2].tool_calls[0].name == "rain_for_weather"
