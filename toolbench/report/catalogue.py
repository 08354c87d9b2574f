"""The catalogue by category, tool and API; of a big one only counts and the first tools of each category."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Tool
from toolbench.report.scan import count, files, query
from toolbench.report.tabular import Table, number

BIG = 2_000
"""APIs beyond which single APIs are not listed."""

TOOLS_OF_BIG = 50
"""Tools listed per category of a big catalogue."""


@dataclass(frozen=True, slots=True)
class ApiLine:
    """An API as one row."""

    name: str
    method: str
    description: str
    split: str


@dataclass(frozen=True, slots=True)
class ToolLine:
    """A tool with its APIs."""

    id: str
    title: str
    description: str
    split: str
    count: int
    apis: Sequence[ApiLine]
    """Empty where the catalogue is big."""


@dataclass(frozen=True, slots=True)
class Section:
    """A category."""

    name: str
    tools: Sequence[ToolLine]
    left_out: int
    """Tools that are not listed."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the page shows."""

    table: Table
    sections: Sequence[Section]
    big: bool


def catalogue(lake: Lake, snapshot: Snapshot) -> Catalogue | None:
    """The catalogue of a snapshot; None if it has no tools."""
    if not snapshot.rows("tools"):
        return None
    big = snapshot.rows("apis") > BIG
    sizes = Counter[str]()
    for (tool_id,), n in count(lake, snapshot, Api, ["tool_id"]).items():
        sizes[tool_id] += n
    apis = {} if big else _apis(lake, snapshot)
    tools: dict[str, list[ToolLine]] = defaultdict(list)
    columns = ["id", "title", "name", "description", "category", "split"]
    for table in files(lake, snapshot, Tool):
        for row in table.select(columns).to_pylist():
            listed = apis.get(row["id"], [])
            line = ToolLine(
                row["id"], row["title"] or row["name"], row["description"], row["split"], sizes[row["id"]], listed
            )
            tools[row["category"]].append(line)
    sections = []
    for name in sorted(tools):
        ordered = sorted(tools[name], key=lambda t: t.id)
        kept = ordered[:TOOLS_OF_BIG] if big else ordered
        sections.append(Section(name, kept, len(ordered) - len(kept)))
    return Catalogue(_table(lake, snapshot, tools), sections, big)


def _apis(lake: Lake, snapshot: Snapshot) -> dict[str, list[ApiLine]]:
    lines: dict[str, list[ApiLine]] = defaultdict(list)
    for table in files(lake, snapshot, Api):
        for row in table.select(["tool_id", "name", "method", "description", "split"]).to_pylist():
            lines[row["tool_id"]].append(ApiLine(row["name"], row["method"], row["description"], row["split"]))
    return {tool: sorted(found, key=lambda a: (a.name, a.method, a.description)) for tool, found in lines.items()}


def _table(lake: Lake, snapshot: Snapshot, tools: dict[str, list[ToolLine]]) -> Table:
    rows = [
        [name, number(len(lines)), number(sum(t.count for t in lines)), number(sum(t.split != "train" for t in lines))]
        for name, lines in sorted(tools.items())
    ]
    everything = [t for lines in tools.values() for t in lines]
    held_out = sum(t.split != "train" for t in everything)
    rows.append(["All", number(len(everything)), number(sum(t.count for t in everything)), number(held_out)])
    with_apis = bool(snapshot.rows("apis"))
    counted = "sum(coalesce(n, 0))" if with_apis else "0"
    join = "LEFT JOIN (SELECT tool_id, count(*) AS n FROM {apis} GROUP BY ALL) AS a ON a.tool_id = t.id"
    select = f"""
SELECT category, count(*) AS tools, {counted} AS apis, count(*) FILTER (split <> 'train') AS held_out
FROM {{tools}} AS t {join if with_apis else ""}
GROUP BY ROLLUP (category) ORDER BY category NULLS LAST
"""  # noqa: S608
    return Table(
        "Tools and APIs by category",
        ["Category", "Tools", "APIs", "Held-out tools"],
        rows,
        query(lake, snapshot, ["tools", "apis"] if with_apis else ["tools"], select),
        total=True,
    )
