"""Training rows: from what was solved, of nothing that is held out, with every solution accounted for."""

import asyncio
import dataclasses
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from workshop import Factory, respecified

from toolbench import datasets
from toolbench.documents import document
from toolbench.errors import LakeError
from toolbench.lake import Lake, Receipt, Spec
from toolbench.records import Api, Conversation, Instruction, Judgment, Record, Reject, RetrievalPair, Solution


def built(lake: Lake, spec: Spec, factory: Factory) -> Receipt:
    return asyncio.run(datasets.build(lake, spec, factory.settings, lambda: None))


@pytest.fixture
def copy(factory: Factory, tmp_path: Path) -> Lake:
    """The factory's lake, to be written to."""
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    return Lake(str(tmp_path / "lake"))


def a_training_shard(factory: Factory) -> Spec:
    """A shard with training instructions only solved ones among them."""
    for spec, receipt in zip(factory.dataset.specs, factory.dataset.receipts, strict=True):
        rows = list(factory.lake.read(spec.inputs["instructions"], Instruction))
        if any(r.split == "train" for r in rows) and "conversations" in receipt.tables:
            return spec
    raise AssertionError("the factory made no training shard")


def changed(lake: Lake, spec: Spec, record: type[Record], change: Any) -> Spec:
    """The shard with one of its input tables replaced by `change(rows)`."""
    rows = change(list(lake.read(spec.inputs[record.TABLE], record)))
    other = Spec(stage="other", label="", partition=spec.partition, records=[], content=record.TABLE, params={})
    receipt = lake.finish(other, {record: rows}, taken_in=0, passed_on=0)
    entries = [receipt.tables[record.TABLE]] if rows else []
    return respecified(spec, content=record.TABLE, **{record.TABLE: entries})


def test_every_solution_is_a_conversation_or_a_reject(factory: Factory) -> None:
    lake, view = factory.lake, factory.dataset.view
    solutions = {s.id: s for s in lake.rows(view, Solution)}
    conversations = list(lake.rows(view, Conversation))
    rejects = [r for r in lake.rows(view, Reject) if r.stage == datasets.STAGE]
    assert Counter([c.solution_id for c in conversations] + [r.record_id for r in rejects]) == Counter(solutions.keys())
    assert all(solutions[c.solution_id].outcome == "solved" for c in conversations)
    for reject in rejects:
        solution = solutions[reject.record_id]
        assert reject.reason == ("judged_unsolved" if solution.outcome == "solved" else solution.outcome)
        assert reject.detail


def test_pairs_are_the_relevant_apis_of_every_instruction(factory: Factory) -> None:
    lake, view = factory.lake, factory.dataset.view
    apis = {a.id: a for a in lake.rows(view, Api)}
    pairs = list(lake.rows(view, RetrievalPair))
    wanted = [(i.id, api, i.split) for i in lake.rows(view, Instruction) for api in i.relevant]
    assert sorted((p.query_id, p.api_id, p.split) for p in pairs) == sorted(wanted)
    assert all(p.document == document(apis[p.api_id]) for p in pairs)
    assert len({p.id for p in pairs}) == len(pairs)


def test_nothing_held_out_is_train(factory: Factory) -> None:
    lake, view = factory.lake, factory.dataset.view
    held_out = {a.id for a in lake.rows(view, Api) if a.split != "train"}
    instructions = {i.id: i for i in lake.rows(view, Instruction)}
    assert held_out
    for row in (*lake.rows(view, Conversation), *lake.rows(view, RetrievalPair)):
        name = row.query_id if isinstance(row, RetrievalPair) else row.instruction_id
        assert row.split == instructions[name].split
        if row.split == "train":
            assert not held_out & set(instructions[name].candidates)


def test_a_held_out_api_in_a_training_row_stops_the_shard(factory: Factory, copy: Lake) -> None:
    spec = a_training_shard(factory)
    leaked = changed(copy, spec, Api, lambda rows: [dataclasses.replace(a, split="tool") for a in rows])
    with pytest.raises(LakeError, match=r"offers the held-out API .* run `toolbench refresh` over"):
        built(copy, leaked, factory)
    assert copy.receipt(leaked.digest) is None


@pytest.mark.parametrize("record", [Instruction, Api])
def test_what_is_gone_is_said(factory: Factory, copy: Lake, record: type[Record]) -> None:
    gone = changed(copy, a_training_shard(factory), record, lambda rows: [])
    with pytest.raises(LakeError, match="the lake no longer has: run `toolbench refresh`"):
        built(copy, gone, factory)


@pytest.mark.parametrize(("against", "kept"), [(0, True), (1, True), (2, False), (3, False)])
def test_the_judge_keeps_out_what_most_votes_call_unsolved(
    factory: Factory, copy: Lake, against: int, kept: bool
) -> None:
    spec = a_training_shard(factory)
    solution = next(s for s in copy.read(spec.inputs["solutions"], Solution) if s.outcome == "solved")

    def votes(rows: list[Judgment]) -> list[Judgment]:
        mine = next(j for j in rows if j.solution_id == solution.id)
        return [
            dataclasses.replace(
                mine, id=str(n), vote=n, verdict="unsolved" if n < against else "solved", reason=f"reason {n}"
            )
            for n in range(3)
        ]

    receipt = built(copy, changed(copy, spec, Judgment, votes), factory)
    receipt.check("conversations")
    names = {c.solution_id for c in copy.read([receipt.tables["conversations"]], Conversation)} if (
        "conversations" in receipt.tables
    ) else set()  # fmt: skip
    assert (solution.id in names) == kept
    if not kept:
        rows = {r.record_id: r for r in copy.read([receipt.tables["rejects"]], Reject)}
        assert (rows[solution.id].reason, rows[solution.id].detail) == ("judged_unsolved", "reason 0")


def test_building_twice_gives_the_same_bytes(factory: Factory, copy: Lake) -> None:
    for spec in factory.dataset.specs:
        key = f"receipts/{spec.digest}.json"
        copy.store.delete([key])
        receipt = built(copy, spec, factory)
        assert copy.store.read(key) == factory.lake.store.read(key)
        for entry in receipt.tables.values():
            assert copy.store.read(entry.path) == factory.lake.store.read(entry.path)

    spec = a_training_shard(factory)
    chosen = next(s for s in copy.read(spec.inputs["solutions"], Solution) if s.outcome == "solved")

    def given_up(rows: list[Solution]) -> list[Solution]:
        end = dataclasses.replace(
            chosen.steps[chosen.path[-1]], arguments='{"return_type": "give_up_and_restart"}', status=4
        )
        steps = [end if step.id == end.id else step for step in chosen.steps]
        one = dataclasses.replace(chosen, outcome="gave_up", reason="the teacher gave up", final_answer="", steps=steps)
        return [one if row.id == chosen.id else row for row in rows]

    shard = changed(copy, spec, Solution, given_up)
    without = built(copy, shard, factory)
    assert "gave_up" in {r.reason for r in copy.read([without.tables["rejects"]], Reject) if r.record_id == chosen.id}
    asked = shard.model_copy(update={"params": {**shard.params, "give_ups": True}})
    rows = list(copy.read([built(copy, asked, factory).tables["conversations"]], Conversation))
    (made,) = [row for row in rows if row.solution_id == chosen.id]
    assert "give_up_and_restart" in made.messages[-1].tool_calls[0].arguments
    assert made.messages[-1].train


def test_a_choice_that_is_not_made_leaves_specifications_as_they_were(factory: Factory) -> None:
    partitions = [s.partition for s in factory.dataset.specs]
    plain = datasets.plan(factory.dataset.view, partitions=partitions)
    assert {s.digest for s in plain} == {s.digest for s in factory.dataset.specs}
    asked = datasets.plan(factory.dataset.view, partitions=partitions, give_ups=True)
    assert not {s.digest for s in plain} & {s.digest for s in asked}
