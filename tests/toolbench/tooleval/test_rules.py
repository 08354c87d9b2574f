"""The decision table, the rules that need no judge, majorities."""

from itertools import permutations, product

import pytest
from answered import a_call, an_answer

from toolbench.tooleval.rules import (
    ANSWER_STATUSES,
    DECISIONS,
    TASK_STATUSES,
    asks_for_task,
    decide,
    majority,
    only_apologises,
    points,
    rule_for,
)

EXPECTED = {
    ("solved", "solvable"): "passed", ("solved", "unsure"): "passed", ("solved", "unsolvable"): "passed",
    ("unsure", "solvable"): "unsure", ("unsure", "unsure"): "unsure", ("unsure", "unsolvable"): "passed",
    ("unsolved", "solvable"): "failed", ("unsolved", "unsure"): "unsure", ("unsolved", "unsolvable"): "passed",
}  # fmt: skip
"""By hand, from ToolEval's release."""


def test_the_table_is_complete_and_as_released() -> None:
    assert {(a, t): decide(a, t) for a, t in product(ANSWER_STATUSES, TASK_STATUSES)} == EXPECTED == dict(DECISIONS)


@pytest.mark.parametrize("answer", ANSWER_STATUSES)
@pytest.mark.parametrize("counting", ["paper", "solvable"])
@pytest.mark.parametrize("rule", ["", "missing", "no_answer", "empty", "gave_up", "apology"])
def test_the_task_is_asked_for_exactly_where_it_decides(answer: str, counting: str, rule: str) -> None:
    differs = len({EXPECTED[answer, task] for task in TASK_STATUSES}) > 1
    wanted = differs and counting == "paper" and rule not in ("missing", "no_answer")
    assert asks_for_task(answer, rule, counting) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize("unsure", [0.0, 0.25, 0.5, 1.0])
def test_unsure_counts_as_configured(unsure: float) -> None:
    assert [points(p, unsure) for p in ("passed", "unsure", "failed")] == [1.0, unsure, 0.0]  # type: ignore[arg-type]


def test_rules_name_what_no_judge_has_to_see() -> None:
    rows = {
        "missing": an_answer(present=False, finish="none", final_answer=""),
        "gave_up": an_answer(finish="gave_up", final_answer=""),
        "no_answer": an_answer(finish="none", final_answer="never said"),
        "empty": an_answer(final_answer=" \n"),
        "apology": an_answer(final_answer="I'm sorry, but I could not find the weather. Please try again later."),
        "": an_answer(final_answer="It rains in Oslo.", turns=[a_call()]),
    }
    assert {rule: rule_for(row) for rule, row in rows.items()} == {rule: rule for rule in rows}


@pytest.mark.parametrize(
    "answer",
    [
        "I apologize, but I am unable to help with that.",
        "Sorry! I couldn’t retrieve the data. Let me know if you need anything else.",
        "Unfortunately, I do not have access to that API.\nPlease try again later.",
    ],
)
def test_what_only_declines_is_an_apology(answer: str) -> None:
    assert only_apologises(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "It rains in Oslo.",
        "I'm sorry, I couldn't find the humidity, but it rains in Oslo.",
        "Sorry, I could not find flights. The train leaves at 9.",
        "I could not find more than 3 results: A, B and C.",
        "Please contact the library; it opens at nine.",
        "",
    ],
)
def test_what_tells_something_is_the_judges_to_weigh(answer: str) -> None:
    assert not only_apologises(answer)


def test_a_majority_does_not_depend_on_order_and_ties_have_none() -> None:
    for order in permutations(["solved", "solved", "unsolved", "unsure"]):
        assert majority(order, "unsure") == "solved"
    for order in permutations(["solved", "solved", "unsolved", "unsolved"]):
        assert majority(order, "unsure") == "unsure"
    assert majority([], "failed") == "failed"
