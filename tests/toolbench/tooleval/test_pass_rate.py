"""From votes to a pass rate: denominators, unsure, unread votes, order, intervals."""

import random
from typing import Any

import pytest
from answered import a_call, a_vote, an_answer

from toolbench.records import Answered, Vote
from toolbench.tooleval.pass_rate import make_run
from toolbench.tooleval.runs import JudgePin, Judging, PassRun, dump, parse


def judge(**fields: Any) -> JudgePin:
    known = {"model": "j", "prompts": {"judge": "1"}, "votes": 2, "temperature": 0.0, "schema_version": 1}
    return JudgePin(**{**known, **fields})


def made(
    rows: list[Answered], votes: list[Vote], counting: str = "solvable", unsure: float = 0.5, n: int = 2
) -> PassRun:
    return make_run(
        rows, votes, judge(votes=n), counting, unsure, 7, name="", answers="test", whole=True, judging=Judging()
    )  # type: ignore[arg-type]  # fmt: skip


def cast(row: Answered, *verdicts: str, question: str = "answer") -> list[Vote]:
    return [a_vote(row, number, verdict, question) for number, verdict in enumerate(verdicts)]


def test_the_denominator_is_the_test_set_and_missing_answers_are_listed() -> None:
    rows = [an_answer("1"), an_answer("2", present=False, finish="none", final_answer="", turns=[])]
    rows.append(an_answer("7", "G2_tool", present=False, finish="none", final_answer="", turns=[]))
    run = made(rows, cast(rows[0], "solved", "solved") + cast(rows[1], "unsolved", "unsolved"))
    by_name = {s.split: s for s in run.splits}
    assert by_name["G1_tool"].pass_rate.mean == 0.5
    assert by_name["G1_tool"].missing == ["2"]
    assert by_name["all"].pass_rate.mean == pytest.approx(1 / 3)
    assert by_name["all"].missing == ["G1_tool/2", "G2_tool/7"]
    assert [s.split for s in run.splits] == ["G1_tool", "G2_tool", "all"]


def test_points_are_means_over_votes_and_unsure_counts_as_configured() -> None:
    row = an_answer()
    votes = cast(row, "solved", "unsure")
    assert made([row], votes).splits[-1].pass_rate.mean == 0.75
    assert made([row], votes, unsure=0.0).splits[-1].pass_rate.mean == 0.5
    assert made([row], votes).splits[-1].vote_rates == [1.0, 0.5]
    assert made([row], votes).splits[-1].vote_variance == pytest.approx(0.125)
    assert made([row], votes).queries[0].status == "unsure", "one vote each is no majority"


def test_an_unsolvable_task_passes_in_the_papers_counting_only() -> None:
    row = an_answer()
    votes = cast(row, "unsolved", "unsolved") + cast(row, "unsolvable", "unsure", question="task")
    assert made([row], votes, "paper").queries[0].votes == [1.0, 0.5]
    assert made([row], votes, "solvable").queries[0].votes == [0.0, 0.0]


def test_what_ended_without_an_answer_fails_whatever_the_task() -> None:
    row = an_answer(finish="none", final_answer="")
    votes = cast(row, "unsolved", "unsolved") + cast(row, "unsolvable", "unsolvable", question="task")
    assert made([row], votes, "paper").queries[0].points == 0


def test_a_vote_that_was_not_read_counts_nowhere_and_without_any_the_query_fails() -> None:
    one, none = an_answer("1"), an_answer("2")
    run = made([one, none], [a_vote(one, 1, "solved")])
    assert [(q.points, q.votes, q.verdict) for q in run.queries] == [
        (1.0, [None, 1.0], "passed"),
        (0.0, [None, None], "failed"),
    ]
    assert run.splits[-1].queries == 2
    assert run.splits[-1].vote_rates == [0.5, 0.5]


def test_votes_and_answers_in_any_order_give_the_same_bytes() -> None:
    rows = [an_answer(str(n), split) for n in range(6) for split in ("G1_tool", "G3_instruction")]
    draw = random.Random(3)
    votes = [v for r in rows for v in cast(r, *draw.choices(["solved", "unsure", "unsolved"], k=3))]
    votes += [v for r in rows for v in cast(r, *draw.choices(["solvable", "unsolvable"], k=3), question="task")]
    first = dump(made(rows, votes, "paper", n=3))
    for _ in range(5):
        draw.shuffle(rows)
        draw.shuffle(votes)
        assert dump(made(rows, votes, "paper", n=3)) == first
    assert parse(first, "here") == made(rows, votes, "paper", n=3)


def test_the_same_query_in_two_splits_is_one_cluster() -> None:
    apart = [an_answer(str(n), "G1_tool") for n in range(4)]
    again = [an_answer(str(n), "G2_tool", query=row.query) for n, row in enumerate(apart)]
    votes = [v for n, r in enumerate(apart + again) for v in cast(r, *(["solved", "unsolved"][n % 2],) * 2)]
    alone = [v for v in votes if v.split == "G1_tool"]
    twice, once = made(apart + again, votes).splits[-1].pass_rate, made(apart, alone).splits[-1].pass_rate
    assert (twice.mean, twice.low, twice.high) == (once.mean, once.low, once.high)


def test_checks_count_without_a_judge() -> None:
    rows = [
        an_answer("1", relevant=["weather_for_sky", "tide_for_sea"]),
        an_answer(
            "2", turns=[a_call("made_up", status=1), a_call(arguments='{"city": 3}', status=None), a_call(status=5)]
        ),
        an_answer("3", finish="gave_up", final_answer="", turns=[a_call("tide_for_sea", "no JSON")]),
        an_answer("4", present=False, finish="none", final_answer="", turns=[], replies=0),
    ]
    found = made(rows, []).splits[-1].checks
    assert found.finish_rate == 0.5
    assert found.hallucination_rate == 0.2
    assert found.api_error_rate == 0.25
    assert found.argument_validity == 0.5
    assert found.valid_call_rate == 0.4
    assert found.relevant_coverage == 0.5
    assert (found.steps, found.replies, found.tokens) == (pytest.approx(5 / 3), 2.0, 15.0)


def test_a_rate_with_nothing_to_count_is_none() -> None:
    found = made([an_answer(present=False, finish="none", final_answer="", turns=[])], []).splits[-1].checks
    assert found.finish_rate == 0.0
    assert (found.valid_call_rate, found.api_error_rate, found.relevant_coverage, found.steps) == (None,) * 4
