"""Nothing that is held out reaches a training row: all tables are looked at before anything is published."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toolbench.errors import LakeError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Conversation, Instruction, Record, RetrievalPair, Solution

TRAIN = "train"


def check(lake: Lake, view: Snapshot) -> None:
    """Raises LakeError naming the first training row that offers a held-out API, or rests on a held-out instruction.

    Instructions, solutions, conversations and retrieval pairs are looked at, each file once, only the columns needed.
    """
    held = pa.array(sorted(_held_out(lake, view)), pa.string())
    tests: set[str] = set()
    for columns in _columns(lake, view, Instruction, ["id", "split", "candidates"]):
        train = pc.equal(columns["split"], TRAIN)
        tests.update(columns.filter(pc.invert(train))["id"].to_pylist())
        # Imported instructions bring their APIs along and are never trained on.
        mine = columns.filter(train)
        offered, parents = pc.list_flatten(mine["candidates"]), pc.list_parent_indices(mine["candidates"])
        wrong = pc.is_in(offered, held)
        if pc.any(wrong).as_py():
            at = pc.index(wrong, True).as_py()
            _refuse(Instruction, mine["id"][parents[at].as_py()].as_py(), f"offers {offered[at].as_py()}")
    known = pa.array(sorted(tests), pa.string())
    for record, column in ((Solution, "instruction_id"), (Conversation, "instruction_id"), (RetrievalPair, "query_id")):
        _check_column(lake, view, record, column, known, "rests on instruction")
    _check_column(lake, view, RetrievalPair, "api_id", held, "has")


def _check_column(lake: Lake, view: Snapshot, record: type[Record], column: str, held: pa.Array, says: str) -> None:
    for columns in _columns(lake, view, record, ["id", "split", column]):
        wrong = columns.filter(pc.and_(pc.equal(columns["split"], TRAIN), pc.is_in(columns[column], held)))
        if wrong.num_rows:
            _refuse(record, wrong["id"][0].as_py(), f"{says} {wrong[column][0].as_py()}")


def _held_out(lake: Lake, view: Snapshot) -> Iterator[str]:
    for entry in view.entries(Api.TABLE):
        if "source" in entry.partition:  # what came with a file of instructions is there for these alone
            table = lake.table(entry, Api).select(["id", "split"])
            yield from table.filter(pc.not_equal(table["split"], TRAIN))["id"].to_pylist()


def _columns(lake: Lake, view: Snapshot, record: type[Record], names: list[str]) -> Iterator[Any]:
    for entry in view.entries(record.TABLE):
        yield lake.table(entry, record).select(names)


def _refuse(record: type[Record], name: str, fault: str) -> None:
    raise LakeError(
        f"The training row {name} of table {record.TABLE} {fault}, which is held out; nothing was published. Where the "
        "hold-out settings were changed, run `toolbench refresh` over the whole catalogue."
    )
