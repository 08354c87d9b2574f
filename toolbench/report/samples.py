"""Which instructions and solutions a person gets to see: seeded draws, the same in every build of a snapshot."""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from toolbench.digests import draw
from toolbench.lake import Lake, Snapshot
from toolbench.records import Instruction, Reject
from toolbench.report.scan import files

INSTRUCTIONS_PER_GROUP = 12
REJECTS_PER_REASON = 3

_SALT = "report"


@dataclass(frozen=True, slots=True)
class RejectExample:
    """Something that was rejected: its text, empty where none was kept, and why."""

    text: str
    detail: str
    where: str


@dataclass(frozen=True, slots=True)
class RejectExamples:
    """Some of what was rejected for one reason."""

    reason: str
    total: int
    drawn: Sequence[RejectExample]


def sample_rejects(lake: Lake, snapshot: Snapshot, stage: str) -> list[RejectExamples]:
    """Up to 3 rejects of a stage for each reason, the most frequent reason first."""
    drawn: dict[str, list[tuple[float, str]]] = defaultdict(list)
    totals = Counter[str]()
    for table in files(lake, snapshot, Reject, ["id", "stage", "reason"]):
        mine = table.filter(pc.equal(table["stage"], stage))
        for id_, reason in zip(mine["id"].to_pylist(), mine["reason"].to_pylist(), strict=True):
            totals[reason] += 1
            drawn[reason].append((draw(_SALT, id_), id_))
        drawn = defaultdict(list, {r: heapq.nsmallest(REJECTS_PER_REASON, d) for r, d in drawn.items()})
    chosen = {id_ for d in drawn.values() for _, id_ in d}
    found = {r.id: r for r in lake.pick(snapshot, Reject, "id", chosen) if r.stage == stage}
    return [
        RejectExamples(reason, totals[reason], [_example(found[id_]) for _, id_ in drawn[reason]])
        for reason in sorted(totals, key=lambda r: (-totals[r], r))
    ]


def _example(reject: Reject) -> RejectExample:
    topic = reject.category or (f"collection {reject.collection}" if reject.collection else "")
    return RejectExample(_text_of(reject.payload), reject.detail, ", ".join(filter(None, (reject.group, topic))))


def _text_of(payload: str) -> str:
    """The text in what was rejected: an instruction the teacher wrote, or a query of a file."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return payload
    text = found.get("instruction") if isinstance(found, dict) else found
    return text if isinstance(text, str) else ""


def sample_instructions(
    lake: Lake, snapshot: Snapshot, per_group: int = INSTRUCTIONS_PER_GROUP
) -> dict[str, list[Instruction]]:
    """Up to `per_group` instructions of each group, in the order of their draws."""
    drawn: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for table in files(lake, snapshot, Instruction, ["id", "group"]):
        for id_, group in zip(table["id"].to_pylist(), table["group"].to_pylist(), strict=True):
            drawn[group].append((draw(_SALT, id_), id_))
        drawn = defaultdict(list, {g: heapq.nsmallest(per_group, d) for g, d in drawn.items()})
    chosen = {id_ for d in drawn.values() for _, id_ in d}
    found = {i.id: i for i in lake.pick(snapshot, Instruction, "id", chosen)}
    return {group: [found[id_] for _, id_ in drawn[group]] for group in sorted(drawn)}
