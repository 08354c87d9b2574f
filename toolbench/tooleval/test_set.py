"""The held-out instructions of a lake as shards of their own, so that nothing else is annotated for an evaluation."""

from collections.abc import Collection

from toolbench.digests import digest
from toolbench.errors import UsageError
from toolbench.lake import Entry, Lake, Snapshot, Spec
from toolbench.records import Instruction
from toolbench.tooleval.gathering import split_name

STAGE = "test_set"


def held_out(lake: Lake, view: Snapshot, splits: Collection[str], most: int = 0) -> Snapshot:
    """`view` with only the instructions of some splits, of all that are held out if none is named.

    `most`: no more of these than that, drawn by their ids; 0: all.

    Instructions that came with imported answers are left out: they have theirs. Raises UsageError if nothing is left.
    """
    found: list[tuple[Entry, list[Instruction]]] = []
    there: set[str] = set()
    for entry in view.entries(Instruction.TABLE):
        if "answers" in entry.partition:
            continue
        rows = list(lake.read([entry], Instruction))
        there |= {split_name(row) for row in rows}
        wanted = [row for row in rows if (split_name(row) in splits if splits else row.split != "train")]
        if wanted:
            found.append((entry, wanted))
    if unknown := sorted(set(splits) - there):
        raise UsageError(f"The lake {lake.uri} has no split {unknown[0]!r}; it has: {', '.join(sorted(there))}.")
    if not found:
        raise UsageError(f"The lake {lake.uri} holds no instruction out to evaluate: name instructions or splits.")
    ids = sorted((row.id for _, rows in found for row in rows), key=digest)
    drawn = set(ids[: most or len(ids)])
    kept = [(entry, [row for row in rows if row.id in drawn]) for entry, rows in found]
    entries = [_put(lake, entry, rows) for entry, rows in kept if rows]
    return view.model_copy(update={"tables": {**view.tables, Instruction.TABLE: entries}})


def _put(lake: Lake, entry: Entry, rows: list[Instruction]) -> Entry:
    names = [row.id for row in rows]
    spec = Spec(
        stage=STAGE,
        label=" ".join(entry.partition.values()),
        partition=entry.partition,
        records=names,
        content=digest([entry.sha256, names]),
        params={"version": 1},
    )
    lake.put_spec(spec)
    receipt = lake.receipt(spec.digest) or lake.finish(
        spec, {Instruction: rows}, taken_in=len(rows), passed_on=len(rows)
    )
    return receipt.tables[Instruction.TABLE]
