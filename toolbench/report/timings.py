"""How long each reply and each API call of a search took, and its tokens: from the shard's journal, where times are."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
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
    rows: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for key, _ in lake.store.list(f"journals/{spec}") if spec else ():
        for row in _rows(lake, key):
            rows.setdefault((row["record"], row["kind"], row["request"], row["occurrence"]), row)
    found: dict[str, Timings] = defaultdict(Timings)
    for row in sorted(rows.values(), key=lambda r: (r["started_at"], r["request"], r["occurrence"])):
        seconds = round(row["seconds"], 3)
        if row["kind"] == "chat":
            reply = _object(row["answer"])
            tokens = (_count(reply.get(name)) for name in ("input_tokens", "output_tokens"))
            found[row["record"]].replies.append((seconds, *tokens))
        elif row["kind"] == "api":
            found[row["record"]].calls.append(seconds)
    return dict(found)


def _rows(lake: Lake, key: str) -> Sequence[dict[str, Any]]:
    """The rows of a file. What the report says besides needs no journal: a damaged one costs the times alone."""
    try:
        rows: list[dict[str, Any]] = pq.ParquetFile(pa.BufferReader(lake.store.read(key))).read(_COLUMNS).to_pylist()
    except (FileNotFoundError, LakeError, pa.ArrowException, OSError, ValueError):
        return ()
    return rows if not rows or rows[0].keys() >= set(_COLUMNS) else ()


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
