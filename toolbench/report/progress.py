"""What a night is at, seen from the lake alone: which shards are planned, and which of them are done."""

import time
from collections import Counter
from typing import NamedTuple

from toolbench.lake import Lake

QUIET = 600.0
"""Seconds after which shards that nothing was written for are no longer under way."""


class Stage(NamedTuple):
    """A stage's shards since the last snapshot."""

    stage: str
    done: int
    of: int


def under_way(lake: Lake, now: float | None = None) -> list[Stage]:
    """Stages with shards planned after the last snapshot was published, in the order they were planned.

    Empty where nothing was written for ten minutes: whoever worked there has ended. Raises LakeError if storage fails.
    """
    now = time.time() if now is None else now
    published = max((found.modified for found in lake.store.look("manifests")), default=0.0)
    planned = [found for found in lake.store.look("specs") if found.modified > published]
    if not planned:
        return []
    receipts = {_name(found.key): found.modified for found in lake.store.look("receipts")}
    latest = max(max(found.modified, receipts.get(_name(found.key), 0.0)) for found in planned)
    if now - latest > QUIET:
        waiting = (_name(found.key) for found in planned if _name(found.key) not in receipts)
        asked = (part.modified for name in waiting for part in lake.store.look(f"journals/{name}"))
        if now - max(asked, default=0.0) > QUIET:
            return []
    done, total, first = Counter[str](), Counter[str](), dict[str, float]()
    for found in planned:
        stage = found.key.split("/")[1]
        total[stage] += 1
        done[stage] += _name(found.key) in receipts
        first[stage] = min(found.modified, first.get(stage, found.modified))
    return [Stage(stage, done[stage], total[stage]) for stage in sorted(first, key=lambda name: (first[name], name))]


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")
