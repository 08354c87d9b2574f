"""How long each reply and each API call of a search took, and its tokens: from the shard's journal, where times are."""

import json
from collections import Counter, defaultdict
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
    """Of one record, in the order in which they were asked for; None where two began within a millisecond, which is all
    that the journal tells: which of them was first is not known."""

    replies: list[tuple[float, int, int] | None] = field(default_factory=list)
    """Seconds, input tokens, output tokens."""
    calls: list[float | None] = field(default_factory=list)
    """Seconds."""


def timings(lake: Lake, spec: str) -> dict[str, Timings]:
    """By record; empty where the shard has no journal, as imported solutions have none, or one that cannot be read."""
    rows = {
        row[:4]: row for key, _ in (lake.store.list(f"journals/{spec}") if spec else ()) for row in _rows(lake, key)
    }
    at_once = Counter((record, kind, started) for record, kind, _, _, _, started, _ in rows.values())
    found: dict[str, Timings] = defaultdict(Timings)
    for record, kind, _, _, answer, started, seconds in sorted(rows.values(), key=lambda row: row[5]):
        told = at_once[record, kind, started] == 1
        if kind == "chat":
            found[record].replies.append(_reply(answer, seconds) if told else None)
        elif kind == "api":
            found[record].calls.append(round(seconds, 3) if told else None)
    return dict(found)


def _reply(answer: str, seconds: float) -> tuple[float, int, int]:
    reply = _object(answer)
    return round(seconds, 3), _count(reply.get("input_tokens")), _count(reply.get("output_tokens"))


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
