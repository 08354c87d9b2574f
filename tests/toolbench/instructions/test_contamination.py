"""Test instructions are recognised in others, and files that hold none are said."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.errors import SourceError
from toolbench.instructions.contamination import Contamination, read_texts

LONG = "Could you tell me which museums in Lisbon are open on Mondays and how much a ticket for a child of six costs?"
SHORT = "Who won the chess tournament in Wijk?"
TINY = "Weather tomorrow?"
TESTS = Contamination.from_texts([LONG, SHORT, TINY, "", "?!"])


@pytest.mark.parametrize(
    ("text", "test"),
    [
        (LONG, LONG),
        (f"Hello! {LONG.upper()} Thank you.", LONG),
        ("I know WHICH museums, in Lisbon, are open on Mondays and how much a ticket for her is.", LONG),
        (f"I follow the news: {SHORT} And when is the next one?", SHORT),
        (SHORT, SHORT),
        ("weather, tomorrow", TINY),
        ("museums in Lisbon are open on Mondays", LONG),  # short itself, and all of it stands in a test
    ],
)
def test_what_shares_a_run_of_words_overlaps(text: str, test: str) -> None:
    assert TESTS.find(text) == test


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Which museums in Lisbon are open on Mondays and how much does a ticket for an adult of forty cost?",
        "Who won the chess tournament in Oslo?",
        "What will the weather tomorrow be like in Rome?",  # holds all of a test that says nothing
        "on Mondays",
        "seums in Lisbon are open on Mondays",
    ],
)
def test_what_shares_less_does_not(text: str) -> None:
    assert TESTS.find(text) is None


def test_the_first_test_is_named() -> None:
    assert Contamination.from_texts([SHORT, LONG]).find(f"{LONG} {SHORT}") == SHORT
    assert len(TESTS) == 3


@given(st.text(max_size=200), st.text(max_size=40), st.text(max_size=40))
def test_a_test_in_other_words_around_it_is_found(test: str, before: str, after: str) -> None:
    found = Contamination.from_texts([test]).find(f"{before} {test} {after}")
    words = len(" ".join(f" {test} ".split()).split())
    assert found in (test, None)
    if words == 0:
        assert found is None


@given(st.lists(st.text("ab ", max_size=80), max_size=4), st.text("ab ", max_size=80))
def test_it_agrees_with_looking_at_all_runs(tests: list[str], text: str) -> None:
    def overlap(one: list[str], other: list[str]) -> bool:
        if not one or not other:
            return False
        size = min(13, len(one), len(other))
        if size < 5:
            return one == other
        runs = {tuple(one[i : i + size]) for i in range(len(one) - size + 1)}
        return any(tuple(other[i : i + size]) in runs for i in range(len(other) - size + 1))

    expected = next((test for test in tests if overlap(test.split(), text.split())), None)
    assert Contamination.from_texts(tests).find(text) == expected


def test_files_of_both_layouts_are_read(tmp_path: Path) -> None:
    native, lines = tmp_path / "G1.json", tmp_path / "mine.jsonl"
    native.write_text(json.dumps([{"query": LONG, "query_id": 1}, {"query": [SHORT]}]))
    lines.write_text(f'{json.dumps({"text": LONG})}\n\n{json.dumps({"query": SHORT})}\n"plain"\n')
    assert read_texts(str(native)) == [LONG, SHORT]
    assert read_texts(str(lines)) == [LONG, SHORT, "plain"]
    assert Contamination.from_files([str(native), str(lines)]).find(SHORT) == SHORT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[{", "is not valid JSON"),
        (b'{"query": "x"}\n{', "Line 2 .* is not valid JSON"),
        (b'[{"query": 1}]', "Entry 1 .* has no text `query`"),
        (b'{"query": "x"}\n[1]', "Entry 2 .* has no text"),
        (b"[[]]", "Entry 1 .* has no text"),
        (b"\xff\xfe{", "not UTF-8"),
        (b"[" * 100_000, "is not valid JSON"),
    ],
)
def test_a_file_that_is_none_is_said(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "test.json"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as raised:
        read_texts(str(path))
    assert str(path) in str(raised.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        Contamination.from_files([str(tmp_path / "none.json")])


def test_a_run_that_many_texts_have_is_a_phrase() -> None:
    phrase = "could you please help me to find out what I would have to pay for"
    tests = Contamination.from_texts([f"{phrase} a ticket to Oslo on Monday", "when is " + " ".join("abcdefghijklm")])
    others = [f"{phrase} number {n}" for n in range(11)]
    tests.pass_over_phrases(others[:10])
    assert tests.find(others[0])
    tests.pass_over_phrases(others)
    assert not any(map(tests.find, others))
    assert tests.find("and " + " ".join("abcdefghijklm") + " then"), "other runs still count"
    assert tests.find(f"{phrase} a ticket to Oslo on Tuesday") is not None, "a run beyond the phrase still counts"
