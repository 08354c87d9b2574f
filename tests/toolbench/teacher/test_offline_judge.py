"""Verdicts, preferences and the comparison of two branches, through the request an endpoint sees."""

import json
from typing import Any

import pytest

from toolbench.teacher.offline import complete

TASK = "I'm preparing a quiz. Please find the distance between Paris and Tokyo."
GOOD = "The distance between Paris and Tokyo is 9713.9 km."
OK, FAILED = {"function": "distance_for_geo", "status": 0}, {"function": "distance_for_geo", "status": 12}
VERDICT = {
    "type": "object",
    "properties": {"verdict": {"enum": ["solved", "unsure", "unsolved"]}, "reason": {"type": "string"}},
    "required": ["verdict", "reason"],
}
PREFERENCE = {
    "type": "object",
    "properties": {"preference": {"enum": ["first", "second", "tie"]}, "reason": {"type": "string"}},
    "required": ["preference"],
}


def ask(block: dict[str, Any], name: str = "", schema: dict[str, Any] | None = None) -> str:
    request: dict[str, Any] = {"messages": [{"role": "user", "content": f"Judge.\n```json\n{json.dumps(block)}\n```"}]}
    if schema:
        request["response_format"] = {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}
    content: str = complete(request)["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize(
    ("answer", "calls", "verdict"),
    [
        (GOOD, [FAILED, OK], "solved"),
        (GOOD, None, "solved"),
        (json.dumps({"return_type": "give_answer", "final_answer": GOOD}), [OK], "solved"),
        (GOOD, [FAILED], "unsolved"),
        ("", [OK], "unsolved"),
        (json.dumps({"return_type": "give_up_and_restart"}), [OK], "unsolved"),
        ("Sorry, I could not find the distance.", [OK], "unsolved"),
        ("The distance between Paris and Tokyo.", [OK], "unsolved"),
        ("Bananas are yellow.", [OK], "unsolved"),
        ("The distance from Paris is 12 km.", [OK], "unsure"),
    ],
)
def test_verdicts(answer: str, calls: list[Any] | None, verdict: str) -> None:
    block = {"instruction": TASK, "answer": answer} | ({} if calls is None else {"calls": calls})
    judged = json.loads(ask(block, "verdict", VERDICT))
    assert judged["verdict"] == verdict
    assert judged["reason"].endswith(".")


def test_the_reason_names_what_is_missing() -> None:
    judged = json.loads(ask({"instruction": TASK, "answer": "The distance from Paris is 12 km."}, "verdict", VERDICT))
    assert "Tokyo" in judged["reason"]


@pytest.mark.parametrize(
    ("first", "second", "choice"),
    [
        ({"answer": GOOD, "calls": [OK]}, {"answer": "", "calls": []}, "first"),
        ({"answer": "", "calls": [OK]}, {"answer": GOOD, "calls": [FAILED, OK]}, "second"),
        ({"answer": GOOD, "calls": [OK, OK]}, {"answer": GOOD, "calls": [OK]}, "second"),
        ({"answer": GOOD, "calls": [OK]}, {"answer": GOOD, "calls": [OK]}, "tie"),
    ],
)
def test_preferences(first: dict[str, Any], second: dict[str, Any], choice: str) -> None:
    block = {"instruction": TASK, "first": first, "second": second}
    assert json.loads(ask(block, "preference", PREFERENCE))["preference"] == choice


@pytest.mark.parametrize(
    ("a", "b", "better"),
    [([OK], [], "A"), ([FAILED], [OK], "B"), ([OK, FAILED], [OK, OK], "B"), ([OK], [OK], "A"), ([], [], "A")],
)
def test_the_branch_with_more_successes_is_better(a: list[Any], b: list[Any], better: str) -> None:
    assert ask({"candidates": {"A": a, "B": b}}) == better
    steps = {OK["status"]: '{"error": "", "response": {"x": 1}}', FAILED["status"]: '{"error": "down", "response": ""}'}
    told = {name: [{"observation": steps[step["status"]]} for step in branch] for name, branch in (("A", a), ("B", b))}
    assert ask({"candidates": told}) == better


@pytest.mark.parametrize(
    ("functions", "status"),
    [
        ([{"name": "distance_for_geo", "description": "The distance between two cities"}], "solvable"),
        ([{"name": "joke_for_fun", "description": "A random joke"}], "unsolvable"),
        ([], "unsolvable"),
        ([3, {"name": None}], "unsolvable"),
    ],
)
def test_a_task_is_judged_by_the_functions_there_are(functions: list[Any], status: str) -> None:
    enum = {"enum": ["solvable", "unsure", "unsolvable"]}
    properties = {"reason": {"type": "string"}, "task_status": enum}
    schema = {"type": "object", "properties": properties, "required": ["reason", "task_status"]}
    found = json.loads(ask({"instruction": TASK, "functions": functions}, "task_status", schema))
    assert found["task_status"] == status
    assert found["reason"]
