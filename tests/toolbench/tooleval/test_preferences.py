"""Which of two answers is better: the order of the rules, both orders of a question, ties."""

import random
from itertools import product

import pytest
from answered import a_call, a_vote, an_answer

from toolbench.records import Answered, Turn, Vote
from toolbench.tooleval.comparing import Pair, before_quality, outcome, pairs, path_score

THOUGHT = Turn(role="assistant", message="so")


def pair(ours: Answered, theirs: Answered, our: str = "solved", their: str = "solved") -> Pair:
    return Pair(ours, theirs, our, their)  # type: ignore[arg-type]


def asked(both: Pair, *said: tuple[str, str]) -> list[Vote]:
    """Votes with what was said when ours, and when theirs, was shown first."""
    return [
        a_vote(both.ours, number, verdict, "preference", order)
        for number, verdicts in enumerate(said)
        for order, verdict in zip(("ours first", "theirs first"), verdicts, strict=True)
    ]


ALIKE = pair(an_answer(), an_answer(id="b", final_answer="It pours."))


@pytest.mark.parametrize(("our", "their"), list(product(["solved", "unsure", "unsolved"], repeat=2)))
def test_the_better_status_wins_whatever_the_rest(our: str, their: str) -> None:
    rank = ["unsolved", "unsure", "solved"]
    points, why = before_quality(pair(an_answer(turns=[a_call()] * 9), an_answer(), our, their))
    if our != their:
        assert (points, why) == (float(rank.index(our) > rank.index(their)), "solved")
    elif our == "solved":
        assert (points, why) == (0.0, "steps")
    else:
        assert points is None, "few steps are no merit of what is not solved"


def test_a_missing_answer_loses_and_two_are_a_tie() -> None:
    gone = an_answer(present=False, finish="none", final_answer="", turns=[])
    assert outcome(pair(an_answer(), gone, "unsolved", "unsolved"), [], 1).points == 1.0
    assert outcome(pair(gone, an_answer(), "unsolved", "unsolved"), [], 1).points == 0.0
    assert outcome(pair(gone, gone, "unsolved", "unsolved"), [], 1).points == 0.5


@pytest.mark.parametrize(
    ("said", "points", "why", "votes"),
    [
        ([("ours", "ours")], 1.0, "quality", [1.0]),
        ([("theirs", "theirs")], 0.0, "quality", [0.0]),
        ([("ours", "theirs")], 0.5, "quality", [0.5]),
        ([("ours", "tie")], 0.5, "quality", [0.5]),
        ([("tie", "tie")], 0.5, "even", [0.5]),
        ([("ours", "ours"), ("theirs", "theirs")], 0.5, "quality", [1.0, 0.0]),
        ([("ours", "ours"), ("ours", "ours"), ("ours", "theirs")], 1.0, "quality", [1.0, 1.0, 0.5]),
    ],
)
def test_both_orders_have_to_agree(said: list[tuple[str, str]], points: float, why: str, votes: list[float]) -> None:
    votes_cast = asked(ALIKE, *said)
    random.Random(1).shuffle(votes_cast)
    found = outcome(ALIKE, votes_cast, len(said))
    assert (found.points, found.won_by, found.votes) == (points, why, votes)


def test_a_vote_read_in_one_order_only_counts_nowhere() -> None:
    votes = asked(ALIKE, ("ours", "ours"), ("theirs", "theirs"))[:3]
    found = outcome(ALIKE, votes, 2)
    assert (found.points, found.votes) == (1.0, [1.0, None])


def test_the_path_decides_where_nobody_can_be_asked_or_sees_a_difference() -> None:
    busy = an_answer(finish="gave_up", final_answer="", turns=[a_call(), a_call("tide_for_sea", "{}")])
    idle = an_answer(id="b", finish="gave_up", final_answer="", turns=[THOUGHT, a_call(status=5)])
    both = pair(busy, idle, "unsolved", "unsolved")
    assert not both.asks
    assert (outcome(both, [], 1).points, outcome(both, [], 1).won_by) == (1.0, "path")
    assert path_score(busy) == pytest.approx(10 * 2 + 5 * 2 - 5 * 0.6931471805599453)
    same = pair(idle, idle, "unsolved", "unsolved")
    assert (outcome(same, [], 1).points, outcome(same, [], 1).won_by) == (0.5, "even")


def test_swapping_the_sides_swaps_every_result() -> None:
    draw = random.Random(5)
    for _ in range(200):
        rows = [
            an_answer(
                id=str(n),
                finish=draw.choice(["answer", "gave_up"]),
                final_answer=draw.choice(["", "It rains.", "It pours."]),
                turns=[a_call(status=draw.choice([0, 5])) for _ in range(draw.randint(0, 3))],
            )
            for n in range(2)
        ]
        statuses = draw.choices(["solved", "unsure", "unsolved"], k=2)
        said = [tuple(draw.choices(["ours", "theirs", "tie"], k=2)) for _ in range(3)]
        other = {"ours": "theirs", "theirs": "ours", "tie": "tie"}
        one = pair(*rows, *statuses)
        two = pair(*rows[::-1], *statuses[::-1])
        swapped = [(other[b], other[a]) for a, b in said]
        first = outcome(one, asked(one, *said), 3)  # type: ignore[arg-type]
        second = outcome(two, asked(two, *swapped), 3)
        assert (first.points, first.won_by) == (1 - second.points, second.won_by)


def test_every_query_of_ours_is_compared() -> None:
    ours = [an_answer("1"), an_answer("2")]
    found = pairs(ours, [an_answer("2"), an_answer("3")], {}, {})
    assert [(p.ours.query_id, p.theirs.present) for p in found] == [("1", False), ("2", True)]
