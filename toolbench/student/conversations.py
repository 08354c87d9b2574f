"""Conversations from files: Parquet tables of a lake, ToolBench's released training data, its answer files.

All are read piece by piece, so that memory does not grow with them. The last two are put into the words of our own
search (the system prompt, `Finish`), because a student should be trained on what it will be shown.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from toolbench.errors import SourceError
from toolbench.records import Conversation
from toolbench.student.chat import UnusableConversation
from toolbench.student.conversations_answers import from_answer
from toolbench.student.conversations_released import released

Found = Conversation | UnusableConversation
"""A conversation, or why what stands in its place is none."""

_BATCH = 64


def read(path: Path) -> Iterator[Found]:
    """The conversations of a file, or of all `.json` and `.parquet` files below a folder, by name.

    Raises SourceError if there is nothing of the kind, or a file is broken so that the rest of it cannot be read.
    """
    try:
        found = sorted(p for s in ("json", "parquet") for p in path.rglob(f"*.{s}")) if path.is_dir() else [path]
        if not found:
            raise SourceError(
                f"There are no conversations in {path}: give ToolBench's training data or answer files (.json), or a "
                "lake's conversations (.parquet)."
            )
        for file in found:
            yield from _read(file, file.relative_to(path).as_posix() if path.is_dir() else file.name)
    except OSError as error:
        raise SourceError(f"The conversations {path} cannot be read: {error.strerror or error}.") from None


def _read(path: Path, name: str) -> Iterator[Found]:
    with path.open("rb") as file:
        head = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
        if head.startswith(b"PAR1"):
            yield from _table(path)
        elif head.startswith(b"["):
            file.seek(0)
            yield from released(file, name)
        elif head.startswith(b"{"):
            file.seek(0)
            yield _answer(file.read(), name)
        else:
            raise SourceError(
                f"{path} holds no conversations: it is neither JSON (ToolBench's training data or an answer) nor a "
                "Parquet table."
            )


def _answer(data: bytes, name: str) -> Found:
    try:
        return from_answer(json.loads(data), name)
    except UnusableConversation as error:
        return error
    except (ValueError, RecursionError) as error:
        return UnusableConversation("malformed", f"{name} is not valid JSON ({error}).")


def _table(path: Path) -> Iterator[Conversation]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from toolbench.schemas import from_table, schema_of

    try:
        table = pq.ParquetFile(path)
        missing = [name for name in schema_of(Conversation).names if name not in table.schema_arrow.names]
        if missing:
            raise ValueError(f"it has no column {missing[0]}")
        for batch in table.iter_batches(_BATCH):
            yield from from_table(Conversation, pa.Table.from_batches([batch]))
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SourceError(f"{path} is no table of conversations ({reason}).") from None
