"""Token counts: the tokenizer's own, in pieces for long texts, and none at all where the bytes decide."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolbench import tokens

ANY_TEXT = st.text(st.characters(), max_size=300)  # lone surrogates as well


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("hello world", 2),
        ("tokenization", 2),
        ("<|endoftext|>", 7),  # plain text, no control token
        ("a\n\n\nb", 3),
    ],
)
def test_counts_are_those_of_o200k_base(text: str, expected: int) -> None:
    assert tokens.count(text) == expected


def test_a_text_longer_than_the_tokenizer_takes_is_counted_in_pieces() -> None:
    text = "ab " * 500_000
    assert 500_000 <= tokens.count(text) <= 500_000 + 31  # a seam may cut a word in two
    assert not tokens.fits(text, 100_000)
    assert tokens.fits(text, 600_000)


def test_half_a_surrogate_pair_is_counted_as_a_replacement_character() -> None:
    assert tokens.count("Oslo \ud83d!") == tokens.count("Oslo \ufffd!") > 0


@settings(deadline=None)
@given(ANY_TEXT)
def test_there_are_never_more_tokens_than_bytes(text: str) -> None:
    assert tokens.count(text) <= tokens.size(text)


@settings(deadline=None)
@given(ANY_TEXT, st.integers(0, 200))
def test_a_text_fits_if_and_only_if_its_count_does(text: str, limit: int) -> None:
    assert tokens.fits(text, limit) == (tokens.count(text) <= limit)


def test_what_is_short_in_bytes_is_never_tokenised(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted() -> None:
        raise AssertionError("the tokenizer was asked")

    monkeypatch.setattr(tokens, "_encoding", unwanted)
    assert tokens.fits("a" * 2048, 2048)
    assert tokens.fits("é" * 1024, 2048)
    with pytest.raises(AssertionError, match="was asked"):
        tokens.fits("é" * 1025, 2048)


def test_threads_count_alike() -> None:
    texts = [f"{n} words in a row, {'again ' * n}" for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tokens.count, texts)) == [tokens.count(text) for text in texts]
