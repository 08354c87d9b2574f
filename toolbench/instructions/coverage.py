"""What combinations cover of a catalogue: APIs, tools, pairs of tools, by group and topic."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations as pairs

from toolbench.records import Api, Combination, Group


@dataclass(frozen=True, slots=True)
class Coverage:
    """One row of the table: counts of what is covered, and of what there is."""

    group: Group
    topic: str
    """The category; the collection for I3."""
    combinations: int
    apis: int
    of_apis: int
    tools: int
    of_tools: int
    pairs: int
    """Pairs of tools that are in a combination together."""
    of_pairs: int


def coverage(topics: Mapping[tuple[Group, str], Sequence[Api]], combinations: Iterable[Combination]) -> list[Coverage]:
    """A row for each topic, in the order of `topics`; `combinations` may be a stream."""
    seen = {key: _Seen() for key in topics}
    for combination in combinations:
        seen[combination.group, combination.collection or combination.category].add(combination)
    return [seen[key].row(*key, members) for key, members in topics.items()]


class _Seen:
    def __init__(self) -> None:
        self.count = 0
        self.apis: set[str] = set()
        self.tools: set[str] = set()
        self.pairs: set[tuple[str, str]] = set()

    def add(self, combination: Combination) -> None:
        self.count += 1
        self.apis.update(combination.apis)
        tools = sorted({api.rpartition("/")[0] for api in combination.apis})
        self.tools.update(tools)
        self.pairs.update(pairs(tools, 2))

    def row(self, group: Group, topic: str, members: Sequence[Api]) -> Coverage:
        tools = len({api.tool_id for api in members})
        return Coverage(
            group=group,
            topic=topic,
            combinations=self.count,
            apis=len(self.apis),
            of_apis=len(members),
            tools=len(self.tools),
            of_tools=tools,
            pairs=len(self.pairs),
            of_pairs=0 if group == "I1" else tools * (tools - 1) // 2,
        )
