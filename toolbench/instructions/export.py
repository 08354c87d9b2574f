"""The lake's instructions as ToolBench's own files: `G1_query.json` to train on, `G1_tool.json` and others to test on.

A file is what `native` reads: a JSON list of `{"api_list", "query", "relevant APIs", "query_id"}`, one entry a line.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc

from toolbench.digests import digest
from toolbench.errors import ToolbenchError, UsageError
from toolbench.instructions.native_documents import document
from toolbench.lake import Entry, Lake, Snapshot
from toolbench.records import Api, Instruction, Split
from toolbench.schemas import from_table

TRAINING = ("G1_query", "G2_query", "G3_query")
TESTS = ("G1_instruction", "G1_tool", "G1_category", "G2_instruction", "G2_category", "G3_instruction")
"""ToolBench's names. A split it has no file for, as G2 with unseen tools, is named in the same way."""

_ID_DIGITS = 12
"""Hex digits of an id that become the query's number: 48 bits, which every JSON reader keeps exactly."""
_HEX = re.compile(rf"[0-9a-f]{{{_ID_DIGITS},}}")

_Documents = dict[str, dict[str, dict[str, Any]]]
"""File of instructions that brought the APIs along, empty for the catalogue → API id → document."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    written: dict[str, int]
    """Instructions by file name."""
    left_out: int
    """Instructions whose relevant APIs the snapshot does not have any more."""
    namesakes: int
    """Instructions that offer several APIs of the same tool and name: a reader of names cannot tell them apart."""


def export(lake: Lake, snapshot: Snapshot, folder: Path, split: Split | None = None) -> Exported:
    """Write the instructions of a snapshot, or those of one `split`, below `folder`, which is made if it is not there.

    All of ToolBench's files for what was asked are written, an empty list where there is nothing for one; files that
    are there are replaced when all are complete. One file of the lake is in memory at a time, and the APIs. Raises
    UsageError if there is no such instruction, ToolbenchError if `folder` cannot be written.
    """
    ids, wanted = _survey(lake, snapshot, split)
    if not ids:
        which = f" of split {split!r}" if split else ""
        raise UsageError(
            f"Snapshot {snapshot.number} of {lake.uri} has no instructions{which}: run `toolbench instruct` first."
        )
    numbers = query_ids(ids)
    documents = _documents(lake, snapshot, wanted)
    files: Counter[str] = Counter({f"{n}.json": 0 for n in _names(split)})
    left_out = namesakes = 0
    try:
        with _Folder(folder) as out:
            for name in files:
                out.add(name)
            for row, own in _rows(lake, snapshot, split):
                entry = _entry(row, numbers[row.id], own, documents)
                if entry is None:
                    left_out += 1
                    continue
                name = f"{_name(row)}.json"
                out.write(name, entry)
                files[name] += 1
                named = [(d["category_name"], d["tool_name"], d["api_name"]) for d in entry["api_list"]]
                namesakes += len(set(named)) < len(named)
    except OSError as error:
        raise ToolbenchError(
            f"The instructions cannot be written to {folder} ({error}); name another --out."
        ) from error
    return Exported(dict(files), left_out, namesakes)


def query_ids(ids: Iterable[str]) -> dict[str, int]:
    """A number for every id, the same every night: its first 48 bits.

    Of ids that begin alike the first in order keeps the number, the others get one from a digest.
    """
    numbers: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(set(ids)):
        number = int(name[:_ID_DIGITS] if _HEX.fullmatch(name) else digest(name, _ID_DIGITS), 16)
        tries = 0
        while number in taken:
            tries += 1
            number = int(digest([name, tries], _ID_DIGITS), 16)
        taken.add(number)
        numbers[name] = number
    return numbers


def _names(split: Split | None) -> Sequence[str]:
    """The files that are written for a split even where nothing is in them."""
    if split is None:
        return TRAINING + TESTS
    return TRAINING if split == "train" else [name for name in TESTS if name.endswith(f"_{split}")]


def _name(row: Instruction) -> str:
    return f"G{row.group[1:]}_{'query' if row.split == 'train' else row.split}"


def _survey(lake: Lake, snapshot: Snapshot, split: Split | None) -> tuple[list[str], set[str]]:
    """Ids of the instructions, and of the APIs that they offer."""
    ids: list[str] = []
    wanted: set[str] = set()
    for entry in snapshot.entries(Instruction.TABLE):
        table = _of_split(lake.table(entry, Instruction).select(["id", "split", "candidates"]), split)
        ids += table["id"].to_pylist()
        wanted.update(pc.unique(pc.list_flatten(table["candidates"])).to_pylist())
    return ids, wanted


def _rows(lake: Lake, snapshot: Snapshot, split: Split | None) -> Iterator[tuple[Instruction, str]]:
    """Instructions, each with the file of instructions it came from, if any."""
    for entry in snapshot.entries(Instruction.TABLE):
        for row in from_table(Instruction, _of_split(lake.table(entry, Instruction), split)):
            yield row, _brought_by(entry)


def _of_split(table: pa.Table, split: Split | None) -> pa.Table:
    return table if split is None else table.filter(pc.equal(table["split"], split))


def _documents(lake: Lake, snapshot: Snapshot, wanted: set[str]) -> _Documents:
    values = pa.array(sorted(wanted), pa.string())
    found: _Documents = {"": {}}
    for entry in snapshot.entries(Api.TABLE):
        mine = found.setdefault(_brought_by(entry), {})
        table = lake.table(entry, Api)
        mine.update((api.id, document(api)) for api in from_table(Api, table.filter(pc.is_in(table["id"], values))))
    return found


def _brought_by(entry: Entry) -> str:
    return entry.partition.get("instructions", "")


def _entry(row: Instruction, number: int, own: str, documents: _Documents) -> dict[str, Any] | None:
    """An instruction in ToolBench's layout; None if an API that it needs is not there."""
    known: Mapping[str, dict[str, Any]] = {
        i: d for i in row.candidates if (d := documents.get(own, {}).get(i) or documents[""].get(i))
    }
    if not known or any(i not in known for i in row.relevant):
        return None
    return {
        "api_list": list(known.values()),
        "query": row.text,
        "relevant APIs": [[known[i]["tool_name"], known[i]["api_name"]] for i in row.relevant],
        "query_id": number,
    }


class _Folder:
    """JSON lists in a folder, written beside those of the same names and put in their place together at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, TextIO] = {}
        self._begun: set[str] = set()
        self._stack = ExitStack()

    def __enter__(self) -> "_Folder":
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def add(self, name: str) -> None:
        """Begin a file."""
        # Half a surrogate pair, which JSON can spell and UTF-8 cannot, becomes `?`.
        file = self._partial(name).open("w", encoding="utf-8", errors="replace", newline="\n")
        self._open[name] = self._stack.enter_context(file)
        file.write("[")

    def write(self, name: str, entry: dict[str, Any]) -> None:
        """Append an entry to a file, which is begun if it is not."""
        if name not in self._open:
            self.add(name)
        self._open[name].write(",\n" if name in self._begun else "\n")
        self._begun.add(name)
        self._open[name].write(json.dumps(entry, ensure_ascii=False))

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            if failure is None:
                for name, file in self._open.items():
                    file.write("\n]\n" if name in self._begun else "]\n")
            self._stack.close()
            if failure is None:
                for name in self._open:
                    self._partial(name).replace(self._folder / name)
        finally:
            self._stack.close()
            for name in self._open:
                self._partial(name).unlink(missing_ok=True)

    def _partial(self, name: str) -> Path:
        return self._folder / f".{name}.{os.getpid()}"
