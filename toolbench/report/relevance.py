"""What the instructions need: how many APIs and tools each, and how much of the catalogue all of them together."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Instruction
from toolbench.report.scan import count, named, pivot, query
from toolbench.report.tabular import Table, number, share

WORST = 10
"""Categories that the coverage lists, the least covered first."""

Needed = Mapping[tuple[str, str, int], int]
"""Instructions by group, `apis` or `tools`, and how many of them are relevant."""


def tool_of(api_id: str) -> str:
    """The id of the tool that an API belongs to."""
    return api_id.rpartition("/")[0]


def needed(lake: Lake, snapshot: Snapshot, counts: Needed) -> Table:
    """Instructions by the number of their relevant APIs, and of the tools these belong to."""
    groups = sorted({g for g, _, _ in counts})
    sizes = sorted({n for _, _, n in counts})
    kinds = (("apis", "APIs"), ("tools", "tools"))
    rows = [[str(n), *(number(counts[g, kind, n]) for kind, _ in kinds for g in groups)] for n in sizes]
    rows.append(["Mean", *(_mean(counts, g, kind) for kind, _ in kinds for g in groups)])
    values = ", ".join(pivot(groups, f"{kind} = n", f"{kind} ") for kind, _ in kinds)
    select = f"""
WITH needed AS (
  SELECT "group", len(relevant) AS apis,
         len(list_distinct(list_transform(relevant, lambda a: regexp_replace(a, '/[^/]*$', '')))) AS tools
  FROM {{instructions}}
), sizes AS (SELECT apis AS n FROM needed UNION SELECT tools FROM needed)
SELECT n, {values}
FROM sizes, needed
GROUP BY n ORDER BY n
"""  # noqa: S608
    return Table(
        "Instructions by how many APIs and tools are relevant to them",
        ["Relevant", *(f"{title[0].upper()}{title[1:]}, {named(g)}" for _, title in kinds for g in groups)],
        rows,
        query(lake, snapshot, [Instruction.TABLE], select),
        total=True,
    )


def _mean(counts: Needed, group: str, kind: str) -> str:
    mine = {size: n for (g, k, size), n in counts.items() if (g, k) == (group, kind)}
    return f"{sum(size * n for size, n in mine.items()) / sum(mine.values()):.2f}"


def coverage(lake: Lake, snapshot: Snapshot, relevant: Collection[str]) -> Table:
    """APIs and tools that some instruction needs, of those in the catalogue."""
    known: dict[str, str] = {}
    for (id_, category), _ in count(lake, snapshot, Api, ["id", "category"]).items():
        known[id_] = category
    apis, covered = Counter(known.values()), Counter(known[id_] for id_ in known if id_ in relevant)
    tools = Counter({tool_of(id_): category for id_, category in known.items()}.values())
    reached = Counter({tool_of(i): c for i, c in known.items() if i in relevant}.values())

    def row(heading: str, categories: Iterable[str]) -> list[str]:
        n, k, t, r = (sum(c[name] for name in categories) for c in (apis, covered, tools, reached))
        return [heading, number(n), number(k), share(k, n), number(t), number(r), share(r, t)]

    worst = sorted(apis, key=lambda name: (covered[name] / apis[name], -apis[name], name))
    rows = [row(name, [name]) for name in worst[:WORST]] + [row("All", list(apis))]
    select = """
WITH used AS (SELECT DISTINCT unnest(relevant) AS id FROM {instructions}),
known AS (SELECT DISTINCT id, category, regexp_replace(id, '/[^/]*$', '') AS tool FROM {apis})
SELECT category, count(*) AS apis, count(used.id) AS covered, count(used.id) / count(*) AS share,
       count(DISTINCT tool) AS tools, count(DISTINCT tool) FILTER (used.id IS NOT NULL) AS tools_covered
FROM known LEFT JOIN used USING (id)
GROUP BY ROLLUP (category) ORDER BY grouping(category), share, apis DESC, category
"""
    left = len(apis) - WORST
    return Table(
        "APIs and tools that some instruction needs, by category, the least covered first",
        ["Category", "APIs", "Needed", "Share", "Tools", "Needed", "Share"],
        rows,
        query(lake, snapshot, [Instruction.TABLE, Api.TABLE], select),
        total=True,
        notes=[f"{number(left)} more categories, better covered, are not listed; “All” counts them."]
        if left > 0
        else [],
    )
