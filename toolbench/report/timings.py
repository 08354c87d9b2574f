"""How long each reply and each API call of a search took, and its tokens: from the shard's journal, where times are."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from toolbench.errors import LakeError
from toolbench.lake import Lake

_COLUMNS = ["record", "kind", "request", "occurrence", "answer", "started_at", "seconds"]


@dataclass(slots=True)
class Timings:
    """Of one record, in the order in which they were asked for."""

    replies: list[tuple[float, int, int]] = field(default_factory=list)
    """Seconds, input tokens, output tokens."""
    calls: list[float] = field(default_factory=list)
    """Seconds."""


def timings(lake: Lake, spec: str) -> dict[str, Timings]:
    """By record; empty where the shard has no journal, as imported solutions have none, or one that cannot be read."""
    rows = {
        row[:4]: row for key, _ in (lake.store.list(f"journals/{spec}") if spec else ()) for row in _rows(lake, key)
    }
    found: dict[str, Timings] = defaultdict(Timings)
    for record, kind, _, _, answer, _, seconds in sorted(rows.values(), key=lambda r: (r[5], r[2], r[3])):
        if kind == "chat":
            reply = _object(answer)
            tokens = (_count(reply.get(name)) for name in ("input_tokens", "output_tokens"))
            found[record].replies.append((round(seconds, 3), *tokens))
        elif kind == "api":
            found[record].calls.append(round(seconds, 3))
    return dict(found)


def _rows(lake: Lake, key: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a file. What the report says besides needs no journal: a damaged one costs the times alone."""
    try:
        table = pq.ParquetFile(pa.BufferReader(lake.store.read(key))).read(_COLUMNS, use_threads=False)
        started = pc.cast(table["started_at"], pa.int64())
        columns = [started if name == "started_at" else table[name] for name in _COLUMNS]
    except (FileNotFoundError, LakeError, pa.ArrowException, OSError, KeyError, ValueError):
        return iter(())
    return zip(*(column.to_pylist() for column in columns), strict=True)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
