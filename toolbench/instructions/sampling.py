"""Combinations of APIs, sampled evenly, without repeats, from a seed alone (ToolLLM, section 2.2).

I1: the APIs of one tool, in windows that cover each. I2 and I3: 2 to 5 tools of one category or collection, at most
3 APIs of each. Tools and APIs are dealt from shuffled decks, so that none is dealt again before all others were.
"""

import math
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
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
    apis: Sequence[Api],
    group: Group,
    *,
    category: str = "",
    collection: str = "",
    seed: int,
    fresh: Collection[str] = (),
) -> Iterator[Combination]:
    """Distinct combinations over `apis`, which are those of one category or one collection, until none are left.

    The same APIs, group, topic and seed give the same combinations in the same order. `fresh`: ids of APIs of which
    every combination must hold one, those dealt least often first. Yields nothing for I2 and I3 if there are fewer than
    two tools.
    """
    by_tool: dict[str, list[Api]] = {}
    for api in sorted(apis, key=lambda a: a.id):
        by_tool.setdefault(api.tool_id, []).append(api)
    asked = {tool: [a for a in members if a.id in fresh] if fresh else members for tool, members in by_tool.items()}
    asked = {tool: members for tool, members in asked.items() if members}
    if not asked or (group != "I1" and len(by_tool) < TOOLS[0]):
        return
    drawn_by = topic_seed(seed, group, category, collection)
    rng = random.Random(drawn_by)
    dealer = _Dealer(by_tool, asked, rng)
    seen: set[str] = set()
    repeats = 0
    while repeats < max(_GIVE_UP, 2 * len(by_tool)):
        chosen = dealer.of_one_tool() if group == "I1" else dealer.of_several_tools()
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
            seed=drawn_by,
        )


def topic_seed(seed: int, group: Group, category: str, collection: str) -> int:
    """The seed that a topic's combinations are drawn by."""
    return seed_of(seed, group, category, collection)


class _Dealer:
    """Deals hands of APIs; each hand has one of `asked`, which holds some or all APIs of some or all tools."""

    def __init__(
        self, by_tool: Mapping[str, Sequence[Api]], asked: Mapping[str, Sequence[Api]], rng: random.Random
    ) -> None:
        self._rng = rng
        self._tools = _Deck(sorted(by_tool), rng)
        self._apis = {tool: _Deck(by_tool[tool], rng) for tool in sorted(by_tool)}
        self._all_are_asked = by_tool.keys() == asked.keys() and all(len(by_tool[t]) == len(asked[t]) for t in by_tool)
        self._asked = self._apis if self._all_are_asked else {tool: _Deck(asked[tool], rng) for tool in sorted(asked)}
        self._windows = self._rounds({tool: windows(len(asked[tool])) for tool in sorted(asked)})
        self._asked_tools = self._tools if self._all_are_asked else _Deck(sorted(asked), rng)

    def of_one_tool(self) -> list[Api]:
        """A window over one tool's APIs: full until every API was in one, of any size from then on."""
        tool, uncovered = next(self._windows)
        size = WINDOW if uncovered else self._rng.randint(1, WINDOW)
        hand = self._asked[tool].deal(size)
        return hand if self._all_are_asked else self._filled(hand, tool, size)

    def of_several_tools(self) -> list[Api]:
        """2 to 5 tools (all, if there are fewer), 1 to 3 APIs of each."""
        count = self._rng.randint(TOOLS[0], min(TOOLS[1], len(self._apis)))
        if self._all_are_asked:
            tools = self._tools.deal(count)
            return [api for tool in tools for api in self._apis[tool].deal(self._size())]
        first = self._asked_tools.deal(1)[0]
        hand = self._filled(self._asked[first].deal(1), first, self._size())
        others = [tool for tool in self._tools.deal(count) if tool != first][: count - 1]
        return hand + [api for tool in others for api in self._apis[tool].deal(self._size())]

    def _size(self) -> int:
        return self._rng.randint(1, APIS_PER_TOOL)

    def _filled(self, hand: list[Api], tool: str, size: int) -> list[Api]:
        more = [api for api in self._apis[tool].deal(size) if api not in hand]
        return (hand + more)[: max(size, len(hand))]

    def _rounds(self, left: dict[str, int]) -> Iterator[tuple[str, bool]]:
        """Tools in rounds, each once a round, and whether it has windows that were not dealt; only such tools are in a
        round as long as there are any."""
        while True:
            due = [tool for tool, count in left.items() if count > 0]
            for tool in self._rng.sample(due or list(left), len(due or left)):
                left[tool] -= 1
                yield tool, bool(due)


def windows(apis: int) -> int:
    """I1 combinations it takes to cover so many APIs of one tool."""
    return math.ceil(apis / WINDOW)


def _split(apis: Sequence[Api]) -> Split:
    """A combination is held out as strictly as the strictest of its APIs."""
    splits = {a.split for a in apis}
    return "category" if "category" in splits else "tool" if "tool" in splits else "train"


def allocate(sizes: Mapping[T, int], total: int, floors: Mapping[T, int] | None = None) -> dict[T, int]:
    """Share `total` out in proportion to the square roots of `sizes`, by largest remainder.

    The square root keeps small categories from starving beside large ones. `floors`: what each needs at least; kept to
    if `total` is enough for all of them.
    """
    kept = {key: floor for key, floor in (floors or {}).items() if sizes.get(key, 0) > 0}
    if sum(kept.values()) > total:
        kept = {}
    free = {key: size for key, size in sizes.items() if size > 0}
    fixed: dict[T, int] = {}
    while True:
        shares = _proportional(free, total - sum(fixed.values()))
        short = {key: kept[key] for key, share in shares.items() if share < kept.get(key, 0)}
        if not short:
            return {key: fixed.get(key, shares.get(key, 0)) for key in sizes}
        fixed |= short
        free = {key: size for key, size in free.items() if key not in short}


def _proportional(sizes: Mapping[T, int], total: int) -> dict[T, int]:
    weights = {key: math.sqrt(size) for key, size in sizes.items()}
    whole = sum(weights.values())
    if not weights or total <= 0:
        return dict.fromkeys(sizes, 0)
    exact = {key: total * weight / whole for key, weight in weights.items()}
    shares = {key: math.floor(value) for key, value in exact.items()}
    by_remainder = sorted(exact, key=lambda key: (shares[key] - exact[key], str(key)))
    for key in by_remainder[: total - sum(shares.values())]:
        shares[key] += 1
    return shares
