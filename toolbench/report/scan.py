"""Reading tables for the report: one file in memory at a time, as records only where a page shows them whole."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from toolbench.lake import Lake, Snapshot
from toolbench.records import Record


def files(
    lake: Lake, snapshot: Snapshot, record: type[Record], columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """The files of a record's table in a snapshot, whole or some columns of them, one in memory at a time.

    Raises LakeError if one is gone or damaged.
    """
    for entry in snapshot.entries(record.TABLE):
        yield lake.table(entry, record, columns)


def count(lake: Lake, snapshot: Snapshot, record: type[Record], columns: list[str]) -> Counter[tuple[Any, ...]]:
    """How many rows there are of each combination of values in `columns`."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for table in files(lake, snapshot, record, columns):
        counts.update(zip(*(table[name].to_pylist() for name in columns), strict=True))
    return counts


def query(lake: Lake, snapshot: Snapshot, tables: list[str], select: str) -> str:
    """A DuckDB script that counts by `select`, in which `{solutions}` stands for the table's published files.

    It takes the files from the manifest, as every reader must: a folder may hold more than was published. A lake in S3
    needs DuckDB's httpfs; one in memory cannot be opened from outside.
    """
    where = sql_text(manifest(lake, snapshot))
    lines = [f"SET VARIABLE manifest = (SELECT content::JSON FROM read_text({where}));"]  # noqa: S608
    root = sql_text(lake.store.url("").rstrip("/") + "/")
    lines += [
        f"SET VARIABLE {name} = (SELECT [{root} || p FOR p IN getvariable('manifest')->>'$.tables.{name}[*].path']);"
        for name in tables
    ]
    body = re.sub(r"\{(\w+)\}", r"read_parquet(getvariable('\1'))", select.strip())
    return "\n".join([*lines, body + ";"])


def pivot(groups: Iterable[str], condition: str = "true", prefix: str = "") -> str:
    """Columns of a query: for each group, the rows of that group that meet the condition."""
    return ", ".join(
        f"""count(*) FILTER ({condition} AND "group" = {sql_text(group)}) AS "{prefix}{named(group)}\""""
        for group in groups
    )


def named(group: str) -> str:
    """A group or a topic as a heading; what was imported may have none."""
    return group.replace('"', "'") or "None"


def manifest(lake: Lake, snapshot: Snapshot) -> str:
    """Where the snapshot's own manifest lies."""
    return lake.store.url(f"manifests/{snapshot.number:012d}.json")


def sql_text(value: str) -> str:
    """A text as SQL quotes it."""
    return "'" + value.replace("'", "''") + "'"
