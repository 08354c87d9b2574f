"""Instructions as a person reads them: the text, and the APIs offered with it, tool by tool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Instruction
from toolbench.report.relevance import tool_of


@dataclass(frozen=True, slots=True)
class Offered:
    """A candidate API."""

    id: str
    name: str
    description: str
    relevant: bool


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """The candidates of one tool."""

    name: str
    category: str
    apis: Sequence[Offered]


@dataclass(frozen=True, slots=True)
class Readable:
    """An instruction with its candidates."""

    instruction: Instruction
    tools: Sequence[OfferedTool]

    @property
    def relevant(self) -> int:
        """How many candidates are relevant."""
        return sum(api.relevant for tool in self.tools for api in tool.apis)


def readable(lake: Lake, snapshot: Snapshot, samples: Mapping[str, Sequence[Instruction]]) -> dict[str, list[Readable]]:
    """Samples by group with their APIs; one that the snapshot does not have any more is shown by its id."""
    wanted = {api for items in samples.values() for item in items for api in item.candidates}
    apis = {api.id: api for api in lake.pick(snapshot, Api, "id", wanted)}
    return {group: [Readable(i, _tools(i, apis)) for i in items] for group, items in samples.items()}


def _tools(instruction: Instruction, apis: Mapping[str, Api]) -> list[OfferedTool]:
    """In the order in which they are offered."""
    by_tool: dict[str, list[Offered]] = {}
    heads: dict[str, tuple[str, str]] = {}
    for id_ in instruction.candidates:
        api = apis.get(id_)
        tool = api.tool_id if api else tool_of(id_)
        heads.setdefault(tool, (api.tool, api.category) if api else (tool or id_, ""))
        by_tool.setdefault(tool, []).append(
            Offered(id_, api.name if api else id_, api.description if api else "", id_ in instruction.relevant)
        )
    return [OfferedTool(*heads[tool], found) for tool, found in by_tool.items()]
