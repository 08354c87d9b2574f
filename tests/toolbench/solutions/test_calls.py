"""Names, arguments and `Finish`."""

import json

import pytest

from toolbench.solutions.calls import finish, parse_arguments, resolve
from toolbench.solutions.messages import first_is_better

FUNCTIONS = {"forget_rain": "a", "cold_rain": "b", "sun": "c"}


@pytest.mark.parametrize(
    ("name", "exact", "found"),
    [
        ("cold_rain", True, "cold_rain"),
        ("cold_rain", False, "cold_rain"),
        ("rain", True, None),
        ("rain", False, "forget_rain"),
        ("un", True, "sun"),
        ("", True, None),
        ("", False, "forget_rain"),
        ("snow", True, None),
        ("snow", False, None),
        ("nish", True, None),
        ("nish", False, None),
    ],
)
def test_names_resolve_by_the_rules(name: str, exact: bool, found: str | None) -> None:
    assert resolve(name, FUNCTIONS, exact) == found


def test_an_exact_name_goes_before_an_ending_by_default_only() -> None:
    functions = {"my_sun": "a", "sun": "b"}
    assert (resolve("sun", functions, exact=True), resolve("sun", functions, exact=False)) == ("sun", "my_sun")


def test_the_empty_name_means_nothing_even_with_one_function() -> None:
    assert resolve("", {"sun": "a"}, exact=True) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"b": 1, "a": "x\ny"}', {"b": 1, "a": "x\ny"}),
        ("[1]", "[1]"),
        ("", ""),
        ('{"a": NaN}', '{"a": NaN}'),
        ('{"a": 1', '{"a": 1'),
    ],
)
def test_arguments_are_an_object_or_the_text_itself(text: str, value: object) -> None:
    parsed, canonical = parse_arguments(text)
    assert parsed == value
    assert json.loads(canonical) == value


def test_nesting_beyond_pythons_limit_is_text() -> None:
    for depth in (100, 300, 500, 900, 950, 980, 990, 1000, 2000):
        text = '{"a":' * depth + "1" + "}" * depth
        parsed, canonical = parse_arguments(text)
        assert parsed == text or isinstance(parsed, dict)
        assert canonical
        answer = text.replace('{"a":', "[").replace("}", "]")
        assert finish(f'{{"return_type": "give_answer", "final_answer": {answer}}}').status in (2, 3)


@pytest.mark.parametrize(
    ("arguments", "status", "answer"),
    [
        ('{"return_type": "give_answer", "final_answer": "yes"}', 3, "yes"),
        ('{"return_type": "give_answer", "final_answer": {"k": "é"}}', 3, '{"k": "é"}'),
        ('{"return_type": "give_answer", "final_answer": "cut off', 3, "cut off"),
        ('{"return_type": "give_answer", "final_answer": "quoted "word""}', 3, 'quoted "word"'),
        ('{"return_type": "give_answer"}', 2, ""),
        ('{"return_type": "give_up_and_restart"}', 4, ""),
        ('{"return_type": "give_up_and_restart", ', 4, ""),
        ('{"return_type": "finish", "final_answer": "x"', 2, ""),
        ('{"return_type": ["give_answer"], "final_answer": "x"}', 2, ""),
        ('{"final_answer": "x"}', 2, ""),
        ("not json", 2, ""),
        ("[]", 2, ""),
        ('"give_answer"', 2, ""),
        ("null", 2, ""),
        ("[" * 5000, 2, ""),
    ],
)
def test_finish_is_judged_and_rescued(arguments: str, status: int, answer: str) -> None:
    finished = finish(arguments)
    assert (finished.status, finished.answer) == (status, answer)


@pytest.mark.parametrize(
    ("reply", "first"),
    [
        ("A", True),
        ("Candidate a", True),
        ("**A**.", True),
        ("A better one is B", False),
        ("B is a better candidate", False),
        ("It is B", False),
        ("B.", False),
        ("neither", False),
        ("", False),
        (None, False),
    ],
)
def test_rank_replies_are_read_with_tolerance(reply: str | None, first: bool) -> None:
    assert first_is_better(reply) is first
