"""The file of rules: ours is valid, a user's is read in its place, and what is wrong with one is said."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.errors import UsageError
from toolbench.screening import rulebook


def test_ours_is_read_without_a_name_and_has_a_digest() -> None:
    rules = rulebook.load()
    assert rules.digest
    assert rules.adult.words
    assert rules == rulebook.parse(rulebook.shipped(), "ours")


def test_a_file_takes_the_place_of_ours_and_comments_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("# mine\n" + rulebook.shipped())
    assert rulebook.load(str(path)).digest == rulebook.load().digest
    path.write_text(rulebook.shipped().replace("pass = []", 'pass = ["Weather/test"]'))
    rules = rulebook.load(str(path))
    assert rules.exceptions.passed == {"Weather/test"}
    assert rules.digest != rulebook.load().digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("longest_message = 300", "longest_message = 0", "key responses.longest_message"),
        ("longest_message = 300", "longest_mesage = 300", "longest_mes"),
        ("read = 300", 'read = "much"', "key adult.read"),
        ("read = 600", "", "key junk.read: it is missing"),
        ('reason = "error_quota"\nverdict = "low_quality"', 'reason = "x"\nverdict = "bad"', "key errors.1.verdict"),
        ("keep = [", "keep = [ '(', ", "key adult.keep.0: '(' is no regular expression"),
        ("words = [", "words = [ 3, ", "key adult.words.0: a word is a text"),
        ("pass = []", "pass = [1]", "key exceptions.pass.0"),
        ("[exceptions]", "digest = 'x'\n[exceptions]", "no such key"),
        ("[junk]", "[junk", "not valid TOML"),
        ("# What", "digest = 'x'\n# What", "key digest: there is no such key"),
    ],
)
def test_what_is_wrong_is_said_with_the_file_and_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    text = rulebook.shipped()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError) as error:
        rulebook.load(str(path))
    assert "mine.toml" in str(error.value)
    assert message in str(error.value)
    assert str(error.value).endswith(".")


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, words in (("gone.toml", "No such file"), (".", "directory"), ("bytes", "not UTF-8")):
        with pytest.raises(UsageError, match=words):
            rulebook.load(str(tmp_path / name))


@given(st.text(max_size=60) | st.integers(0, 9000).map(lambda n: rulebook.shipped()[:n]))
def test_no_text_raises_anything_else(text: str) -> None:
    with pytest.raises(UsageError):
        rulebook.parse(text, "mine")
