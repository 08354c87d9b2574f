"""Instructions against each other and against test instructions: what one shard alone cannot see.

Shards are written side by side; when all are there, the new ones are gone through in order, after those of earlier
nights. A shard that loses some instructions is written again without them.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from toolbench.digests import digest
from toolbench.instructions.contamination import Contamination, read_texts
from toolbench.instructions.duplicates import NearDuplicates
from toolbench.instructions.planning import STAGE
from toolbench.lake import Entry, Lake, Receipt, Snapshot, Spec
from toolbench.records import Combination, Instruction, Reject
from toolbench.settings import Settings

Dropped = dict[str, tuple[str, str]]
"""Instruction id → reason and detail."""


class _Shard(NamedTuple):
    spec: Spec
    receipt: Receipt


def compare(
    lake: Lake, base: Snapshot, settings: Settings, specs: Sequence[Spec], receipts: Sequence[Receipt]
) -> list[Receipt]:
    """The receipts of a stage's shards, of which new ones are without near duplicates and without contamination.

    `base` is what was published before. Raises SourceError for a test file that cannot be read.
    """
    receipts = _as_published(lake, base, receipts)
    published = {entry.spec for entry in base.entries(Instruction.TABLE)}
    planned = {r.spec for r in receipts}
    replaced = [r.partition for r in receipts]
    standing = [
        e
        for e in base.entries(Instruction.TABLE)
        if "group" in e.partition and (e.spec in planned or e.partition not in replaced)
    ]
    by_name = {spec.digest: spec for spec in specs}
    new = [_Shard(by_name[r.spec], r) for r in receipts if r.spec in by_name and r.spec not in published]
    if not new:
        return receipts
    dropped = _dropped(lake, settings, standing, new)
    trimmed = {s.spec.digest: _trimmed(lake, s, found) for s in new if (found := _of(lake, s, dropped))}
    return [trimmed.get(r.spec, r) for r in receipts]


def _as_published(lake: Lake, base: Snapshot, receipts: Sequence[Receipt]) -> list[Receipt]:
    """Receipts of shards that were trimmed when they were published stay the trimmed ones."""
    names = {r.spec for r in receipts}
    trimmed: dict[str, Receipt] = {}
    for entry in base.entries(Combination.TABLE):
        if entry.spec in names or all(entry.partition != r.partition for r in receipts):
            continue
        receipt = lake.receipt(entry.spec)
        whole = lake.spec(_key(entry.spec)).params.get("of") if receipt else None
        if receipt and whole in names:
            trimmed[whole] = receipt
    return [trimmed.get(r.spec, r) for r in receipts]


def _dropped(lake: Lake, settings: Settings, standing: Sequence[Entry], new: Sequence[_Shard]) -> Dropped:
    dropped: Dropped = {}
    near = NearDuplicates(settings.instructions.near_duplicate)
    trained: list[str] = []
    held_out: list[str] = []
    for row in lake.read(standing, Instruction):
        near.add(row.id, row.text)
        (trained if row.split == "train" else held_out).append(row.text)
    rows = [row for shard in new for row in _instructions(lake, shard.receipt)]
    for row in rows:
        if twin := near.add(row.id, row.text):
            detail = f"{twin[1]:.0%} of its three-word runs are those of instruction {twin[0]}, counted together."
            dropped[row.id] = ("near_duplicate", detail)
    rows = [row for row in rows if row.id not in dropped]
    # A new test must not stand in what was trained on, and nothing new to be trained on in a test.
    training = [r for r in rows if r.split == "train"]
    new_tests = [r for r in rows if r.split != "train"]
    dropped |= _contaminated(new_tests, Contamination.from_texts(trained), "training", [r.text for r in new_tests])
    held_out += [r.text for r in new_tests if r.id not in dropped]
    tests = Contamination.from_texts([*held_out, *_file_texts(settings)])
    return dropped | _contaminated(training, tests, "test", [*trained, *(r.text for r in training)])


def _file_texts(settings: Settings) -> Iterator[str]:
    for path in settings.instructions.test_files:
        yield from read_texts(path)


def _contaminated(rows: Sequence[Instruction], others: Contamination, what: str, texts: Sequence[str]) -> Dropped:
    others.pass_over_phrases(texts)
    found: Dropped = {}
    for row in rows:
        if text := others.find(row.text):
            found[row.id] = ("contaminated", f"It overlaps with the {what} instruction {text[:200]!r}.")
    return found


def _of(lake: Lake, shard: _Shard, dropped: Dropped) -> Dropped:
    return {row.id: dropped[row.id] for row in _instructions(lake, shard.receipt) if row.id in dropped}


def _instructions(lake: Lake, receipt: Receipt) -> list[Instruction]:
    entry = receipt.tables.get(Instruction.TABLE)
    return list(lake.read([entry], Instruction)) if entry else []


def _trimmed(lake: Lake, shard: _Shard, dropped: Dropped) -> Receipt:
    """The shard without what was dropped, as a shard of its own with a journal of its own."""
    spec = shard.spec.model_copy(update={"params": {**shard.spec.params, "of": shard.spec.digest, "without": dropped}})
    name = spec.digest
    if receipt := lake.receipt(name):
        return receipt
    lake.put_spec(spec)
    lake.copy_journal(shard.spec.digest, name)
    tables = shard.receipt.tables
    rows = _instructions(lake, shard.receipt)
    kept = [dataclasses.replace(row, spec=name) for row in rows if row.id not in dropped]
    combinations = lake.read([tables[Combination.TABLE]], Combination)
    before = lake.read([tables["rejects"]], Reject) if "rejects" in tables else ()
    rejects = [dataclasses.replace(row, spec=name) for row in before]
    rejects += [_reject(row, *dropped[row.id], name) for row in rows if row.id in dropped]
    return lake.finish(
        spec,
        {Combination: [dataclasses.replace(c, spec=name) for c in combinations], Instruction: kept, Reject: rejects},
        taken_in=shard.receipt.taken_in,
        passed_on=len(kept),
        usage=shard.receipt.usage,
        model=shard.receipt.model,
    )


def _reject(row: Instruction, reason: str, detail: str, spec: str) -> Reject:
    return Reject(
        id=digest([STAGE, reason, row.id]),
        stage=STAGE,
        record_id=row.id,
        reason=reason,
        detail=detail,
        group=row.group,
        category=row.category,
        collection=row.collection,
        payload=json.dumps({"instruction": row.text, "apis": row.candidates}, ensure_ascii=False),
        spec=spec,
    )


def _key(spec: str) -> str:
    return f"specs/{STAGE}/{spec}.json"
