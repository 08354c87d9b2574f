"""Shards of instructions, written by a real server: counted, filtered, replayed, and equal to the byte."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workshop import Factory, Server, Worked, forget, journaled, publish, settings_for, work_on, written

from toolbench import catalogue, instructions
from toolbench.errors import TeacherError
from toolbench.instructions.generate import _parse
from toolbench.lake import Lake, Spec
from toolbench.records import Api, Instruction, Reject, Reply, Verdict
from toolbench.settings import Settings

Start = Callable[..., Server]
AMOUNT = {"total": 18, "per_combination": 3}


def generated(lake: Lake, documents: Path, url: str, **teacher: Any) -> tuple[Settings, Worked]:
    """The stage alone, for one category with a held-out tool."""
    wanted = {"source": str(documents), "categories": ("Science", "Location"), "tool_holdout": 0.3}
    settings = settings_for(lake, url, catalogue=wanted, instructions=AMOUNT, teacher=teacher)
    view = publish(lake, catalogue.collect(lake, settings)[0], catalogue.TABLES)
    specs = instructions.plan(lake, view, settings, categories=["Location", "Science"])
    return settings, work_on(lake, specs, settings, instructions.generate, instructions.TABLES, "instructions")


def reasons(worked: Worked) -> Counter[str]:
    return sum((Counter(r.reasons) for r in worked.receipts), Counter())


def kept(lake: Lake, worked: Worked) -> list[Instruction]:
    return list(lake.rows(worked.view, Instruction))


def test_counts_add_up_and_every_row_says_where_it_comes_from(factory: Factory) -> None:
    rows = list(factory.lake.rows(factory.instructions.view, Instruction))
    apis = {a.id: a for a in factory.lake.rows(factory.instructions.view, Api)}
    specs = {s.digest: s for s in factory.instructions.specs}
    assert len(rows) == sum(r.passed_on for r in factory.instructions.receipts) > 30
    for row in rows:
        assert row.spec in specs
        assert row.combination_id in specs[row.spec].records
        assert set(row.relevant) <= set(row.candidates)
        assert row.model == "offline-teacher"
        if row.group != "I1":
            assert len({apis[i].tool_id for i in row.relevant}) > 1


def test_what_is_held_out_is_never_train(factory: Factory) -> None:
    apis = {a.id: a for a in factory.lake.rows(factory.instructions.view, Api)}
    levels = Counter()
    for row in factory.lake.rows(factory.instructions.view, Instruction):
        splits = {apis[i].split for i in row.candidates}
        strictest = next((s for s in ("category", "tool") if s in splits), None)
        assert row.split == strictest if strictest else row.split in ("train", "instruction")
        levels[row.split] += 1
    assert levels["train"]
    assert levels["category"]


def test_the_tokens_of_a_call_are_shared_out_to_the_last(factory: Factory) -> None:
    shares: dict[str, list[Instruction]] = defaultdict(list)
    for row in factory.lake.rows(factory.instructions.view, Instruction):
        shares[row.combination_id].append(row)
    for spec, receipt in zip(factory.instructions.specs, factory.instructions.receipts, strict=True):
        answers = journaled(factory.lake, spec)
        for name in ("input_tokens", "output_tokens"):
            assert getattr(receipt.usage, name) == sum(a["answer"][name] for a in answers) > 0
            for combination in spec.records if not receipt.rejected else ():
                spent = sum(a["answer"][name] for a in answers if a["record"] == combination)
                assert sum(getattr(row, name) for row in shares[combination]) == spent


@pytest.mark.parametrize(
    ("fault", "reason", "asked"),
    [("hallucination_rate", "hallucinated_api", 1), ("leak_rate", "api_named", 1), ("refusal_rate", "no_reply", 1),
     ("malformed_rate", "malformed_reply", 2)],
)  # fmt: skip
def test_every_fault_is_caught_and_named(
    fault: str, reason: str, asked: int, lake: Lake, hub_documents: Path, start_teacher: Start
) -> None:
    server = start_teacher(**{fault: 1.0})
    _, worked = generated(lake, hub_documents, server.url)
    assert set(reasons(worked)) == {reason}
    assert kept(lake, worked) == []
    combinations = sum(len(s.records) for s in worked.specs)
    assert server.asked() == combinations * asked  # what is malformed gets one try at repair, and no more
    rows = list(lake.rows(worked.view, Reject))
    assert len(rows) == sum(r.taken_in for r in worked.receipts)
    assert all(row.detail and json.loads(row.payload)["apis"] for row in rows)


def test_a_reply_that_was_repaired_counts_with_both_calls(
    lake: Lake, hub_documents: Path, start_teacher: Start
) -> None:
    server = start_teacher(malformed_rate=0.5)
    _, worked = generated(lake, hub_documents, server.url)
    answers = [a for s in worked.specs for a in journaled(lake, s)]
    calls = Counter(a["record"] for a in answers)
    rejected = {r.record_id.partition("#")[0] for r in lake.rows(worked.view, Reject)}
    repaired = {name for name, count in calls.items() if count == 2} - rejected
    assert repaired
    spent = sum(a["answer"]["output_tokens"] for a in answers if a["record"] in repaired)
    assert sum(i.output_tokens for i in kept(lake, worked) if i.combination_id in repaired) == spent


def test_faults_mixed_leave_only_clean_instructions(lake: Lake, hub_documents: Path, start_teacher: Start) -> None:
    server = start_teacher(hallucination_rate=0.3, leak_rate=0.3, malformed_rate=0.3, refusal_rate=0.2)
    _, worked = generated(lake, hub_documents, server.url)
    assert set(reasons(worked)) <= {"hallucinated_api", "api_named", "malformed_reply", "no_reply", "duplicate"}
    assert {"hallucinated_api", "api_named"} <= set(reasons(worked))
    functions = [a.function for a in lake.rows(worked.view, Api)]
    rows = kept(lake, worked)
    assert rows
    assert not [f for f in functions for row in rows if f in row.text]


def test_equal_to_the_byte_whatever_the_concurrency_and_from_a_journal_alone(
    tmp_path: Path, hub_documents: Path, start_teacher: Start
) -> None:
    server = start_teacher(malformed_rate=0.3, leak_rate=0.2)
    one, sixteen = (Lake(str(tmp_path / name)) for name in ("one", "sixteen"))
    settings, worked = generated(one, hub_documents, server.url, max_concurrency=1)
    server.reset()  # its faults depend on how often it was asked
    generated(sixteen, hub_documents, server.url, max_concurrency=16)
    cold = written(one)
    assert written(sixteen) == cold
    server.stop()
    forget(one, *worked.specs)
    assert written(one) != cold
    for spec in worked.specs:
        asyncio.run(instructions.generate(one, spec, settings, lambda: None))
    assert written(one) == cold
    other = settings.model_copy(update={"seed": 8})
    (spec, *_) = instructions.plan(one, one.snapshot(), other, categories=["Science"])
    with pytest.raises(TeacherError, match="cannot be reached"):  # another shard has no answers there
        asyncio.run(instructions.generate(one, spec, other, lambda: None))


def test_a_plan_is_fixed_and_asks_for_what_settings_want(factory: Factory) -> None:
    categories = ["Location", "Mapping", "Science"]
    args = (factory.lake, factory.catalogue, factory.settings)
    specs = instructions.plan(*args, categories=categories)
    assert [s.digest for s in specs] == [s.digest for s in factory.instructions.specs]
    assert sum(s.size for s in specs) == 12
    alone = instructions.plan(*args, categories=["Science"], collections=False)
    assert {tuple(sorted(s.partition.items())) for s in alone} == {
        (("category", "Science"), ("group", group)) for group in ("I1", "I2")
    }
    assert all(e.partition["category"] == "Science" for s in alone for e in s.inputs["apis"])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"instructions": [{"instruction": " a  b ", "relevant_apis": ["x", "x", 3]}]}', ("a b", ["x"])),
        ('```json\n{"instructions": [{"instruction": "a", "relevant_apis": null}]}\n```', ("a", [])),
        ('[{"instruction": "a"}]', ("a", [])),
    ],
)
def test_replies_are_read_leniently(content: str, found: tuple[str, list[str]]) -> None:
    (written_,) = _parse(Reply(content=content))
    assert (written_.text, written_.relevant) == found  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "content", [None, "", "no", "{}", '{"instructions": []}', '{"instructions": [{}]}', "[3]", "[" * 5000, "```"]
)
def test_what_cannot_be_read_is_said(content: str | None) -> None:
    assert isinstance(_parse(Reply(content=content)), str)


def test_retired_apis_are_not_sampled(factory: Factory) -> None:
    view, settings = factory.catalogue, factory.settings
    chosen = sorted(a.id for a in factory.lake.rows(view, Api) if a.category == "Science")
    verdicts = [
        Verdict(
            id=name, tool_id="", category="Science", verdict="dead" if gone else "working", reason="", evidence="[]",
            calls=1, night="2025-01-01", failed_nights=3 * gone, retired=bool(gone),
        )
        for name, gone in ((name, n % 2) for n, name in enumerate(chosen))
    ]  # fmt: skip
    lake = Lake(f"memory://retired-{len(chosen)}")
    spec = Spec(
        stage="test", label="", partition={"source": "x", "category": "Science"}, records=[], content="", params={}
    )
    apis = [a for a in factory.lake.rows(view, Api) if a.category == "Science"]
    receipt = lake.finish(spec, {Api: apis, Verdict: verdicts}, taken_in=len(apis), passed_on=len(apis))
    screened = publish(lake, [receipt], ("apis", "verdicts"))
    specs = instructions.plan(lake, screened, settings, categories=["Science"])
    used = {api for s in specs for c in s.params["combinations"] for api in c["apis"]}
    assert used
    assert used <= {v.id for v in verdicts if not v.retired}


def test_the_teacher_judges_values_where_it_is_asked_to(factory: Factory, lake: Lake, honest_teacher: Server) -> None:
    settings = settings_for(
        lake, honest_teacher.url, catalogue={"source": factory.settings.catalogue.source}, instructions=AMOUNT,
        apis={"hosts": factory.settings.apis.hosts},
    )  # fmt: skip
    apis = [a for a in factory.lake.rows(factory.catalogue, Api) if a.category == "Science"]
    spec = Spec(
        stage="test", label="", partition={"source": "x", "category": "Science"}, records=[], content="", params={}
    )
    view = publish(lake, [lake.finish(spec, {Api: apis}, taken_in=len(apis), passed_on=len(apis))], ("apis",))
    plain = instructions.plan(lake, view, settings, categories=["Science"])
    judged = instructions.plan(lake, view, settings.with_(instructions={"judge_values": True}), categories=["Science"])
    assert {s.digest for s in plain}.isdisjoint(s.digest for s in judged)
    work_on(lake, judged[:1], settings, instructions.generate, instructions.TABLES, "instructions")
    asked = [row["record"] for row in journaled(lake, judged[0])]
    assert any(record.endswith("#values") for record in asked)
