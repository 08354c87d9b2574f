"""What changed since last night: a snapshot beside the one before it."""

from collections import Counter
from typing import NamedTuple

from toolbench.errors import LakeError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Conversation, Instruction, Record, Solution, Tool
from toolbench.report.scan import count, manifest, sql_text
from toolbench.report.tabular import Table, number, share

_COMPARED: tuple[type[Record], ...] = (Tool, Api, Instruction, Solution, Conversation)
_DIGESTED: tuple[type[Record], ...] = (Tool, Api)
"""Keep their ids when they change; of the others a changed row has another id."""


class Changes(NamedTuple):
    """Tables of the differences to snapshot `before`."""

    before: int
    published: str
    rows: Table
    passed: Table | None


def changes(lake: Lake, snapshot: Snapshot) -> Changes | None:
    """None for the first snapshot, and where files of the one before it were removed since."""
    earlier = [n for n in lake.numbers() if n < snapshot.number]
    if not earlier:
        return None
    try:
        before = lake.snapshot(earlier[-1])
        return Changes(before.number, before.created_at, _rows(lake, before, snapshot), _passed(lake, before, snapshot))
    except LakeError:
        return None


def _rows(lake: Lake, before: Snapshot, now: Snapshot) -> Table:
    kinds = [record for record in _COMPARED if before.rows(record.TABLE) or now.rows(record.TABLE)]
    rows = [_difference(lake, before, now, record) for record in kinds]
    selects = "\nUNION ALL\n".join(_select(record, before, now) for record in kinds)
    return Table(
        f"Rows that are new, changed or gone since snapshot {before.number}",
        ["Table", "Before", "Now", "New", "Changed", "Gone"],
        rows,
        _script(lake, before, now, kinds, selects),
        notes=["Instructions, solutions and conversations that change get another id: they count as gone and new."],
    )


def _difference(lake: Lake, before: Snapshot, now: Snapshot, record: type[Record]) -> list[str]:
    old, new = (_ids(lake, one, other, record) for one, other in ((before, now), (now, before)))
    changed = sum(old[id_] != digest for id_, digest in new.items() if id_ in old)
    figures = [before.rows(record.TABLE), now.rows(record.TABLE), len(new.keys() - old.keys())]
    said = number(changed) if record in _DIGESTED else "–"
    return [record.TABLE, *map(number, figures), said, number(len(old.keys() - new.keys()))]


def _ids(lake: Lake, one: Snapshot, other: Snapshot, record: type[Record]) -> dict[str, str]:
    """Id → digest, if it has one, of the rows in files that the other snapshot does not have."""
    shared = {e.path for e in other.entries(record.TABLE)}
    columns = ["id", "digest"] if record in _DIGESTED else ["id"]
    found: dict[str, str] = {}
    for entry in one.entries(record.TABLE):
        if entry.path not in shared:
            table = lake.table(entry, record, columns)
            ids = table["id"].to_pylist()
            found |= dict(zip(ids, table["digest"].to_pylist() if len(columns) > 1 else [""] * len(ids), strict=True))
    return found


def _passed(lake: Lake, before: Snapshot, now: Snapshot) -> Table | None:
    """Pass rates by group, then and now."""
    if not before.rows(Solution.TABLE) or not now.rows(Solution.TABLE):
        return None
    then, today = (count(lake, s, Solution, ["group", "outcome"]) for s in (before, now))
    groups = sorted({group for group, _ in (*then, *today)})
    rows = [[group, *_figures(then, today, {group})] for group in groups]
    rows.append(["All", *_figures(then, today, set(groups))])
    old, new = (
        f"""(SELECT coalesce("group", 'All') AS name, count(*) AS solutions, avg((outcome = 'solved')::INT) AS rate
  FROM read_parquet(getvariable('{side}_solutions')) GROUP BY ROLLUP ("group"))"""  # noqa: S608
        for side in ("old", "new")
    )
    select = f"""SELECT name, o.solutions, o.rate, n.solutions, n.rate
FROM {old} AS o FULL JOIN {new} AS n USING (name) ORDER BY name = 'All', name"""  # noqa: S608
    return Table(
        f"Pass rate by group, snapshot {before.number} and now",
        ["Group", "Solutions before", "Pass rate before", "Solutions now", "Pass rate now", "Points"],
        rows,
        _script(lake, before, now, [Solution], select),
        total=True,
    )


def _figures(then: Counter[tuple[str, ...]], now: Counter[tuple[str, ...]], groups: set[str]) -> list[str]:
    cells, rates = [], []
    for counts in (then, now):
        n = sum(v for (group, _), v in counts.items() if group in groups)
        solved = sum(v for (group, outcome), v in counts.items() if group in groups and outcome == "solved")
        cells += [number(n), share(solved, n)]
        rates.append(100 * solved / n if n else None)
    old, new = rates
    return [*cells, "–" if old is None or new is None else f"{new - old:+.1f}"]


def _select(record: type[Record], before: Snapshot, now: Snapshot) -> str:
    name = record.TABLE
    digest = "digest" if record in _DIGESTED else "''"
    old, new = (
        f"(SELECT DISTINCT id, {digest} AS d FROM read_parquet(getvariable('{side}_{name}')))"  # noqa: S608
        if snapshot.rows(name)
        else "(SELECT NULL::VARCHAR AS id, '' AS d WHERE false)"
        for side, snapshot in (("old", before), ("new", now))
    )
    return f"""SELECT '{name}' AS "table", count(o.id) AS before, count(n.id) AS now,
       count(*) FILTER (o.id IS NULL) AS new, count(*) FILTER (o.d <> n.d) AS changed,
       count(*) FILTER (n.id IS NULL) AS gone
FROM {old} AS o FULL JOIN {new} AS n ON o.id = n.id"""  # noqa: S608


def _script(lake: Lake, before: Snapshot, now: Snapshot, kinds: list[type[Record]], select: str) -> str:
    """A DuckDB script over two manifests."""
    root = sql_text(lake.store.url("").rstrip("/") + "/")
    lines = []
    for side, snapshot in (("old", before), ("new", now)):
        where = sql_text(manifest(lake, snapshot))
        lines.append(f"SET VARIABLE {side} = (SELECT content::JSON FROM read_text({where}));")  # noqa: S608
        lines += [
            f"SET VARIABLE {side}_{kind.TABLE} = (SELECT [{root} || p FOR p IN "
            f"getvariable('{side}')->>'$.tables.{kind.TABLE}[*].path']);"
            for kind in kinds
            if snapshot.rows(kind.TABLE)
        ]
    return "\n".join([*lines, select + ";"])
