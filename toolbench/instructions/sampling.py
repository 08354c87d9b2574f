"""Combinations of APIs, sampled evenly, without repeats, from a seed alone (ToolLLM, section 2.2).

I1: the APIs of one tool, in windows that cover each. I2 and I3: 2 to 5 tools of one category or collection, at most
3 APIs of each. Tools and APIs are dealt from shuffled decks, so that none is dealt again before all others were.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from toolbench.digests import digest, seed_of
from toolbench.records import Api, Combination, Group, Split

T = TypeVar("T")

WINDOW = 5
"""APIs of one tool that an I1 combination holds at most."""
TOOLS = (2, 5)
APIS_PER_TOOL = 3
_GIVE_UP = 200
"""Repeats in a row after which a topic counts as exhausted; more where it takes more to deal every tool twice."""


class _Deck(Generic[T]):
    """Deals items in random order, reshuffled whenever all were dealt."""

    def __init__(self, items: Sequence[T], rng: random.Random) -> None:
        self._items = list(items)
        self._rng = rng
        self._rest: list[T] = []

    def deal(self, count: int) -> list[T]:
        """`count` distinct items (all of them if there are fewer)."""
        count = min(count, len(self._items))
        hand: list[T] = []
        while len(hand) < count:
            if not self._rest:
                self._rest = self._rng.sample(self._items, len(self._items))
            # What a reshuffle brings a second time goes back under the deck.
            item = self._rest.pop()
            if item in hand:
                self._rest.insert(0, item)
            else:
                hand.append(item)
        return hand


def sample(
    apis: Sequence[Api], group: Group, *, category: str = "", collection: str = "", seed: int
) -> Iterator[Combination]:
    """Distinct combinations over `apis`, which are those of one category or one collection, until none are left.

    The same APIs, group, topic and seed give the same combinations in the same order. Yields nothing for I2 and I3 if
    there are fewer than two tools.
    """
    by_tool: dict[str, list[Api]] = {}
    for api in sorted(apis, key=lambda a: a.id):
        by_tool.setdefault(api.tool_id, []).append(api)
    if not by_tool or (group != "I1" and len(by_tool) < TOOLS[0]):
        return
    topic_seed = seed_of(seed, group, category, collection)
    rng = random.Random(topic_seed)
    tools = _Deck(sorted(by_tool), rng)
    decks = {tool: _Deck(by_tool[tool], rng) for tool in sorted(by_tool)}
    windows_left = {tool: math.ceil(len(members) / WINDOW) for tool, members in by_tool.items()}
    seen: set[str] = set()
    repeats = 0
    while repeats < max(_GIVE_UP, 2 * len(by_tool)):
        if group == "I1":
            (tool,) = tools.deal(1)
            windows_left[tool] -= 1
            size = WINDOW if windows_left[tool] >= 0 else rng.randint(1, WINDOW)
            chosen = decks[tool].deal(size)
        else:
            hand = tools.deal(rng.randint(TOOLS[0], min(TOOLS[1], len(by_tool))))
            chosen = [api for tool in hand for api in decks[tool].deal(rng.randint(1, APIS_PER_TOOL))]
        name = digest([group, category, collection, sorted(a.id for a in chosen)])
        if name in seen:
            repeats += 1
            continue
        seen.add(name)
        repeats = 0
        yield Combination(
            id=name,
            group=group,
            category=category,
            collection=collection,
            apis=[a.id for a in chosen],
            split=_split(chosen),
            seed=topic_seed,
        )


def _split(apis: Sequence[Api]) -> Split:
    """A combination is held out as strictly as the strictest of its APIs."""
    splits = {a.split for a in apis}
    return "category" if "category" in splits else "tool" if "tool" in splits else "train"


def allocate(sizes: Mapping[T, int], total: int) -> dict[T, int]:
    """Share `total` out in proportion to the square roots of `sizes`, by largest remainder.

    The square root keeps small categories from starving beside large ones.
    """
    weights = {key: math.sqrt(size) for key, size in sizes.items() if size > 0}
    whole = sum(weights.values())
    if not weights or total <= 0:
        return dict.fromkeys(sizes, 0)
    exact = {key: total * weight / whole for key, weight in weights.items()}
    shares = {key: math.floor(value) for key, value in exact.items()}
    by_remainder = sorted(exact, key=lambda key: (shares[key] - exact[key], str(key)))
    for key in by_remainder[: total - sum(shares.values())]:
        shares[key] += 1
    return {key: shares.get(key, 0) for key in sizes}
