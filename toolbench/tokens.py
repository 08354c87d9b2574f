"""How long a text is for a model: tokens of OpenAI's o200k_base, counted without a network."""

from collections.abc import Iterator
from functools import cache
from threading import Lock
from typing import Any

_PIECE = 50_000
"""Characters tokenised at once: at four bytes each no more tokens than the tokenizer takes (200,000)."""

_loading = Lock()


def count(text: str) -> int:
    """Tokens of `text`; a text of more than 50,000 characters is counted in pieces of that length.

    The first call loads the tokenizer, which takes about a second.
    """
    return sum(_counts(text))


def fits(text: str, limit: int) -> bool:
    """Whether `text` has at most `limit` tokens; most short texts are never tokenised, and of long ones only a part."""
    if len(text) <= limit and size(text) <= limit:
        return True
    total = 0
    for tokens in _counts(text):
        total += tokens
        if total > limit:
            return False
    return True


def size(text: str) -> int:
    """Bytes of `text` in UTF-8: no fewer than its tokens, since a token is at least one byte."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _counts(text: str) -> Iterator[int]:
    for start in range(0, len(text), _PIECE):
        yield len(_encoding().encode_ordinary(text[start : start + _PIECE]))


def _encoding() -> Any:
    with _loading:  # two threads at once would both load
        return _load()


@cache
def _load() -> Any:
    import bpe_openai

    return bpe_openai.get_encoding("o200k_base")
