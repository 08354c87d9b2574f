"""A query's sentences. An instruction asks for several things at once, and each API is wanted for one of them."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")
_FEWEST = 3
"""Words of a sentence that asks for anything: `Thank you!` does not."""

Embedding = TypeVar("Embedding")


def sentences(query: str) -> list[str]:
    """The sentences of a query that has more than one; empty for all others, which are searched for as they are."""
    found = [part for part in _END.split(query) if len(part.split()) >= _FEWEST or not part.isascii()]
    return [part for part in found if part.strip()] if len(found) > 1 else []


def with_sentences(
    queries: Sequence[str], read: Callable[[list[str]], Sequence[Embedding]]
) -> list[tuple[Embedding, list[Embedding]]]:
    """What `read` makes of each query and of its sentences; it is called once, with all of them."""
    parts = [sentences(query) for query in queries]
    made = iter(read([text for query, mine in zip(queries, parts, strict=True) for text in (query, *mine)]))
    return [(next(made), [next(made) for _ in mine]) for mine in parts]
