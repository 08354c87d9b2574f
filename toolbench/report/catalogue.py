"""The catalogue: counts by category, an index to search it by, and each API in one of many small files."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Tool, Verdict
from toolbench.report.clipping import Clip, fitted
from toolbench.report.scan import count, files, query
from toolbench.report.scripts import Buckets, buckets_for
from toolbench.report.searching import SearchIndex
from toolbench.report.tabular import Table, number
from toolbench.report.words import SPLITS

EACH = 48
"""APIs of one file, about."""

FACETS = ("category", "method", "split", "screening")
_ABOUT = 160
"""Characters of a description in a list."""

_COLUMNS = [
    "id", "tool_id", "tool", "name", "category", "collections", "description", "method", "url", "parameters",
    "function", "definition", "response_example", "deprecated", "split",
]  # fmt: skip


def catalogue(lake: Lake, snapshot: Snapshot) -> Table | None:
    """Tools and APIs by category; None if the snapshot has no tools."""
    if not snapshot.rows("tools"):
        return None
    tools, held_out = Counter[str](), Counter[str]()
    for (category, split), n in count(lake, snapshot, Tool, ["category", "split"]).items():
        tools[category] += n
        held_out[category] += n * (split != "train")
    apis = Counter[str]()
    category_of = {id_: category for (id_, category), _ in count(lake, snapshot, Tool, ["id", "category"]).items()}
    for (tool,), n in count(lake, snapshot, Api, ["tool_id"]).items():
        if tool in category_of:
            apis[category_of[tool]] += n
    return _table(lake, snapshot, tools, apis, held_out)


def write(lake: Lake, snapshot: Snapshot, folder: Path) -> int:
    """Write `apis/` and `catalogue/` below `folder`; gives the number of files with APIs.

    Raises LakeError if a file of the lake is gone or damaged.
    """
    verdicts = {
        id_: (verdict, reason, retired)
        for (id_, verdict, reason, retired) in count(lake, snapshot, Verdict, ["id", "verdict", "reason", "retired"])
    }
    tools: dict[str, str] = {}
    for table in files(lake, snapshot, Tool, ["id", "description"]):
        tools |= dict(zip(table["id"].to_pylist(), table["description"].to_pylist(), strict=True))
    files_of_apis = buckets_for(snapshot.rows(Api.TABLE), EACH)
    index = SearchIndex(folder / "catalogue", FACETS)
    with Buckets(folder / "apis", files_of_apis) as apis:
        for table in files(lake, snapshot, Api, _COLUMNS):
            for batch in table.to_batches(max_chunksize=1_000):
                for row in batch.to_pylist():
                    _add(index, row, verdicts.get(row["id"]))
                    apis.add("api", row["id"], _details(row, tools.get(row["tool_id"], ""), verdicts.get(row["id"])))
    index.finish()
    return files_of_apis


def _add(index: SearchIndex, row: Mapping[str, Any], verdict: tuple[str, str, bool] | None) -> None:
    said = verdict[0].replace("_", " ") if verdict else "not screened"
    split = SPLITS.get(row["split"], row["split"])
    about = row["description"]
    shown = about if len(about) <= _ABOUT else f"{about[:_ABOUT]}…"
    index.add(
        [row["id"], row["name"], row["tool"], row["category"], row["method"], shown, row["split"] != "train"],
        f"{row['name']} {row['tool']}",
        f"{row['category']} {row['function']} {about}",
        {"category": row["category"] or "None", "method": row["method"] or "None", "split": split, "screening": said},
    )


def _details(row: Mapping[str, Any], tool: str, verdict: tuple[str, str, bool] | None) -> dict[str, Any]:
    def made(clip: Clip) -> dict[str, Any]:
        found = {
            "name": row["name"],
            "tool": row["tool"],
            "about_tool": clip(tool),
            "category": row["category"],
            "collections": row["collections"],
            "description": clip(row["description"]),
            "method": row["method"],
            "url": clip(row["url"]),
            "function": row["function"],
            "definition": clip(row["definition"]),
            "split": SPLITS.get(row["split"], row["split"]),
            "parameters": [
                [p["name"], p["type"], p["required"], p["location"], clip(p["description"]), clip(p["default"] or "")]
                for p in row["parameters"]
                if not p["secret"]
            ],
        }
        if row["response_example"]:
            found["example"] = clip(row["response_example"])
        if row["deprecated"]:
            found["deprecated"] = True
        if verdict:
            found["verdict"] = [verdict[0].replace("_", " "), verdict[1], verdict[2]]
        return found

    return fitted(made)  # type: ignore[no-any-return]


def _table(
    lake: Lake, snapshot: Snapshot, tools: Mapping[str, int], apis: Mapping[str, int], held_out: Mapping[str, int]
) -> Table:
    rows = [[name, *(number(counts[name]) for counts in (tools, apis, held_out))] for name in sorted(tools)]
    rows.append(["All", *(number(sum(counts.values())) for counts in (tools, apis, held_out))])
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
