"""What a lake keeps of a partition whose shards could not all be done.

The rows of the shards that are done go in. Files of the last snapshot stay beside them while they are still true: what
their rows rest on is there as it was, and none of the rows is of a record that a finished shard has made anew. The
rest leaves until the next run has done its shards.
"""

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from toolbench.digests import canonical
from toolbench.lake.lake import Lake
from toolbench.lake.model import Draft, Entry, Snapshot, Spec
from toolbench.records import RECORDS

REJECTS = "rejects"


class _Rule(NamedTuple):
    subject: str
    """The column that says which record a row is of."""
    rests_on: str
    """The column of ids, or of lists of ids, that have to be there."""
    table: str
    """The table they are ids of."""


_RULES = {
    "verdicts": _Rule("id", "id", "apis"),
    "response_keys": _Rule("id", "id", "apis"),
    "instructions": _Rule("id", "candidates", "apis"),
    "solutions": _Rule("instruction_id", "instruction_id", "instructions"),
    "judgments": _Rule("solution_id", "solution_id", "solutions"),
    "conversations": _Rule("solution_id", "solution_id", "solutions"),
}
_SAME = {"apis": ("id", "digest", "split")}
"""Columns that tell whether a row is as it was; of all other tables the id alone covers the content."""


def keep(lake: Lake, draft: Draft, base: Snapshot, main: str, tables: tuple[str, ...], left: Iterable[Spec]) -> None:
    """Complete `draft`, which has a stage's finished shards, in the partitions of the shards that are `left`."""
    then, now = _state(lake, base, _RULES[main].table), _state(lake, draft.view(base), _RULES[main].table)
    unchanged = then & now
    for spec in {canonical(spec.partition): spec for spec in left}.values():
        name = canonical(spec.partition)
        done = draft.replace.get(main, {}).get(name, [])
        taken = {subject for entry in done for subject, _ in _rows(lake, entry, main)}
        whole = [e for e in base.entries(main) if e.partition == spec.partition and e not in done]
        true = [e.spec for e in whole if _true(lake, e, main, taken, {row[0] for row in unchanged})]
        for table in (*tables, REJECTS):
            where = {**spec.partition, "stage": spec.stage} if table == REJECTS else spec.partition
            mine = draft.replace.get(table, {}).get(canonical(where), [])
            names = {e.path for e in mine}
            old = [e for e in base.entries(table) if e.partition == where and e.spec in true and e.path not in names]
            draft.put(table, where, [*mine, *old])


def emptied(draft: Draft, table: str) -> list[dict[str, str]]:
    """The partitions that this change leaves without a row of `table`."""
    return [json.loads(name) for name, entries in draft.replace.get(table, {}).items() if not entries]


def _true(lake: Lake, entry: Entry, main: str, taken: set[str], unchanged: set[str]) -> bool:
    return all(subject not in taken and rests_on <= unchanged for subject, rests_on in _rows(lake, entry, main))


def _rows(lake: Lake, entry: Entry, main: str) -> Iterator[tuple[str, set[str]]]:
    """Of each row, what it is of and the ids it rests on."""
    rule = _RULES[main]
    table = lake.table(entry, RECORDS[main])
    for subject, ids in zip(table[rule.subject].to_pylist(), table[rule.rests_on].to_pylist(), strict=True):
        yield subject, set(ids) if isinstance(ids, list) else {ids}


def _state(lake: Lake, view: Snapshot, table: str) -> set[tuple[str, ...]]:
    """The rows of a table, by what tells whether one is as it was; the id comes first."""
    columns = _SAME.get(table, ("id",))
    found: set[tuple[str, ...]] = set()
    for entry in view.entries(table):
        read = lake.table(entry, RECORDS[table])
        found |= set(zip(*(read[name].to_pylist() for name in columns), strict=True))
    return found
