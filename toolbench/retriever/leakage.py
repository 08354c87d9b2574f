"""What is measured on must not be trained on: no held-out query, and none of the tools and categories held out."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from toolbench.records import RetrievalPair
from toolbench.retriever.negatives import tool_of

_HASH = re.compile(r"-[0-9a-f]{8}(?=/|$)")
"""What tells namesakes apart in an id: another catalogue may know one of them only, and need none."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Queries (normalised, with an id each), tools and categories that training must not touch."""

    queries: dict[str, str]
    tools: frozenset[str]
    categories: frozenset[str]

    def fault(self, pair: RetrievalPair) -> str | None:
        """What is wrong with training on a pair, in words; None: nothing."""
        if (found := self.queries.get(normalised(pair.query))) is not None:
            return f"its query is the held-out query {found}"
        return self.owner(pair.api_id)

    def owner(self, api_id: str) -> str | None:
        """The held-out tool or category that an API is of, in words; None: of neither."""
        tool = _plain(tool_of(api_id))
        if tool in self.tools:
            return f"its tool {tool} is held out"
        category = tool.partition("/")[0]
        return f"its category {category} is held out" if category in self.categories else None


def held_out(pairs: Iterable[RetrievalPair]) -> HeldOut:
    """What the pairs of other splits than `train` hold out: their queries; the tools of split `tool`; the categories of
    split `category`. (A level is that of ToolLLM, section 3.1: unseen instruction, tool or category.)"""
    measured = [p for p in pairs if p.split != "train"]
    return HeldOut(
        {normalised(p.query): p.query_id for p in measured},
        frozenset(_plain(tool_of(p.api_id)) for p in measured if p.split == "tool"),
        frozenset(p.api_id.partition("/")[0] for p in measured if p.split == "category"),
    )


def without_held_out(pairs: Sequence[RetrievalPair], held: HeldOut) -> tuple[list[RetrievalPair], Counter[str]]:
    """The training pairs that may be trained on, and how many queries and pairs may not, by kind of fault.

    A query goes as a whole, with its pairs on other tools: what is left of it would be a wrong example.
    """
    faults: dict[str, str] = {}
    for pair in pairs:
        if fault := held.fault(pair):
            faults.setdefault(pair.query, next(k for k in ("query", "tool", "category") if f"its {k} " in fault))
    kept = [p for p in pairs if p.query not in faults]
    counts = Counter(f"queries: {kind}" for kind in faults.values())
    counts["pairs"] = len(pairs) - len(kept)
    return kept, counts


def normalised(text: str) -> str:
    """Words alone: a query is no other one for its case, spaces or punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _plain(tool: str) -> str:
    return _HASH.sub("", tool)
