"""Shards of solutions: every instruction one row, whatever goes wrong; equal to the byte; replayed from the journal."""

import asyncio
import dataclasses
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workshop import Factory, Mortal, Server, a_tool, an_api, forget, journaled, settings_for, written

from toolbench import solutions
from toolbench.apis.compress import compress
from toolbench.errors import LakeError, TeacherError, TransientError
from toolbench.lake import Entry, Lake, Receipt, Spec
from toolbench.records import Api, ApiCall, Instruction, ResponseKeys, Solution, Tool
from toolbench.settings import Settings
from toolbench.tokens import count

Start = Callable[..., Server]


def annotated(lake: Lake, spec: Spec, settings: Settings) -> Receipt:
    return asyncio.run(solutions.annotate(lake, spec, settings, lambda: None))


def copied(factory: Factory, folder: Path) -> Lake:
    """The factory's lake up to its instructions: no solution, no answer of the world's."""
    shutil.copytree(factory.lake.uri, folder / "lake")
    lake = Lake(str(folder / "lake"))
    forget(lake, *factory.solutions.specs)
    shutil.rmtree(folder / "lake" / "journals")
    return lake


def settings_of(factory: Factory, url: str, **teacher: Any) -> Settings:
    return factory.settings.with_(teacher={"base_url": f"{url}/v1", **teacher})


def largest(factory: Factory) -> Spec:
    return max(factory.solutions.specs, key=lambda s: s.size)


def test_every_instruction_ends_as_one_solution(factory: Factory) -> None:
    asked = {i.id: i for i in factory.lake.rows(factory.solutions.view, Instruction)}
    rows = list(factory.lake.rows(factory.solutions.view, Solution))
    assert Counter(s.instruction_id for s in rows) == Counter(asked.keys())
    for row in rows:
        assert row.split == asked[row.instruction_id].split
        assert row.steps[0].parent == -1
        assert bool(row.reason) == (row.outcome != "solved")
        assert bool(row.path and row.final_answer) == (row.outcome == "solved")
    assert sum(s.outcome == "solved" for s in rows) > len(rows) / 2


def test_outcomes_and_usage_of_the_receipt_are_those_of_the_rows(factory: Factory) -> None:
    for receipt in factory.solutions.receipts:
        rows = list(factory.lake.read([receipt.tables["solutions"]], Solution))
        assert receipt.outcomes == Counter(s.outcome for s in rows)
        assert receipt.usage.calls == sum(s.calls for s in rows)
        assert receipt.usage.input_tokens == sum(s.input_tokens for s in rows)
        assert receipt.usage.output_tokens == sum(s.output_tokens for s in rows)


def test_api_calls_are_those_of_the_steps(factory: Factory) -> None:
    made = defaultdict(list)
    for call in factory.lake.rows(factory.solutions.view, ApiCall):
        made[call.solution_id].append(call)
    sources = Counter()
    for row in factory.lake.rows(factory.solutions.view, Solution):
        called = [s for s in row.steps if s.api_id is not None]
        assert [(c.step, c.api_id, c.status, c.source) for c in made[row.id]] == [
            (s.id, s.api_id, s.status, s.source) for s in called
        ]
        assert len({c.id for c in made[row.id]}) == len(called)
        for call, step in zip(made[row.id], called, strict=True):
            response = compress(json.loads(call.response), (), 2048)
            assert step.observation == json.dumps({"error": call.error, "response": response}, ensure_ascii=False)
            sources[call.source] += 1
    assert sources["live"] > 20


def test_equal_to_the_byte_whatever_the_concurrency(factory: Factory, tmp_path: Path, honest_teacher: Server) -> None:
    lake, spec = copied(factory, tmp_path), largest(factory)
    annotated(lake, spec, settings_of(factory, honest_teacher.url, max_concurrency=1))
    names = [key for key in written(lake) if spec.digest in key]
    assert len(names) >= 3
    for key in names:
        assert lake.store.read(key) == factory.lake.store.read(key), f"{key}: one at a time differs from 16"


def test_a_journal_alone_gives_the_same_bytes(factory: Factory, tmp_path: Path) -> None:
    """Neither teacher nor hub is there: their ports are closed."""
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    lake, spec = Lake(str(tmp_path / "lake")), largest(factory)
    before = written(lake)
    forget(lake, spec)
    assert written(lake) != before
    nowhere = factory.settings.with_(
        teacher={"base_url": "http://127.0.0.1:9/v1"},
        apis={"hosts": dict.fromkeys(factory.settings.apis.hosts, "http://127.0.0.1:9")},
    )
    annotated(lake, spec, nowhere)
    assert written(lake) == before


def test_with_faults_every_instruction_still_ends_as_one_solution(
    factory: Factory, tmp_path: Path, start_teacher: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolbench.teacher.client.FIRST_PAUSE", 0.01)
    faults = {"error_rate": 0.3, "malformed_rate": 0.3, "hallucination_rate": 0.3, "refusal_rate": 0.1}
    shards = []
    for limit in (1, 16):
        lake, server = copied(factory, tmp_path / str(limit)), start_teacher(**faults)
        settings = settings_of(factory, server.url, max_concurrency=limit, max_retries=12)
        for spec in factory.solutions.specs[:2]:
            receipt = annotated(lake, spec, settings)
            receipt.check("solutions")
            rows = list(lake.read([receipt.tables["solutions"]], Solution))
            assert sorted(s.instruction_id for s in rows) == sorted(spec.records)
        shards.append({k: v for k, v in written(lake).items() if any(s.digest in k for s in factory.solutions.specs)})
        server.stop()
    assert shards[0] == shards[1]
    statuses = Counter(step.status for row in rows for step in row.steps)
    assert statuses[1], "no invented function in a whole shard: the fault was not tested"


def test_a_teacher_that_dies_is_asked_only_for_the_rest(
    factory: Factory, tmp_path: Path, honest_teacher: Server
) -> None:
    lake, spec = copied(factory, tmp_path), largest(factory)
    mortal = Server(Mortal(lives=7))
    with pytest.raises(TransientError):
        annotated(lake, spec, settings_of(factory, mortal.url, max_concurrency=2))
    assert lake.receipt(spec.digest) is None
    paid = len(journaled(lake, spec))
    assert 6 <= paid <= 7  # an answer under way when another fails may be lost
    mortal.stop()
    with pytest.raises(TeacherError, match="cannot be reached"):
        annotated(lake, spec, settings_of(factory, mortal.url))
    assert len(journaled(lake, spec)) == paid
    honest_teacher.reset()
    receipt = annotated(lake, spec, settings_of(factory, honest_teacher.url))
    assert honest_teacher.asked() == receipt.usage.calls - paid
    for key in (k for k in written(lake) if spec.digest in k):
        assert lake.store.read(key) == factory.lake.store.read(key)


def replanned(lake: Lake, factory: Factory, settings: Settings | None = None, **tables: list[Entry]) -> list[Spec]:
    view = factory.instructions.view.model_copy(update={"tables": {**factory.instructions.view.tables, **tables}})
    partitions = [s.partition for s in factory.solutions.specs]
    return solutions.plan(lake, view, settings or factory.settings, partitions=partitions)


def test_a_plan_covers_what_the_prompts_are_made_of(factory: Factory, tmp_path: Path) -> None:
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    lake = Lake(str(tmp_path / "lake"))
    assert [s.digest for s in replanned(lake, factory)] == [s.digest for s in factory.solutions.specs]
    entry = factory.instructions.view.entries("tools")[0]
    tools = [dataclasses.replace(t, description="Reworded", digest="reworded") for t in lake.read([entry], Tool)]
    spec = Spec(stage="catalogue", label="", partition=entry.partition, records=[], content="new", params={})
    receipt = lake.finish(spec, {Tool: tools}, taken_in=0, passed_on=0)
    others = [e for e in factory.instructions.view.entries("tools") if e != entry]
    changed = replanned(lake, factory, tools=[*others, receipt.tables["tools"]])
    mine = entry.partition["category"]
    for old, new in zip(factory.solutions.specs, changed, strict=True):
        if old.partition.get("category") == mine:
            assert new.digest != old.digest, "a tool's description stands in the prompt"
        elif "category" in old.partition:
            assert new.digest == old.digest


def keyed(lake: Lake, api_id: str, *keys: str) -> Entry:
    """A file of response keys for one API."""
    row = ResponseKeys(
        id=api_id, category=api_id.partition("/")[0], keys=list(keys), examples=1, model="m", prompt_digest="", seed=0,
        input_tokens=0, output_tokens=0, cost=0.0,
    )  # fmt: skip
    spec = Spec(stage="compression", label="", partition={}, records=[api_id], content=str(keys), params={})
    return lake.finish(spec, {ResponseKeys: [row]}, taken_in=1, passed_on=1).tables["response_keys"]


def test_a_plan_covers_the_keys_of_its_candidates_and_how_responses_are_shortened(
    factory: Factory, tmp_path: Path
) -> None:
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    lake = Lake(str(tmp_path / "lake"))
    plain = replanned(lake, factory)
    offered = {i.id: i.candidates for i in lake.rows(factory.instructions.view, Instruction)}
    api_id = offered[plain[0].records[0]][0]
    with_keys = replanned(lake, factory, response_keys=[keyed(lake, api_id, "name")])
    others = replanned(lake, factory, response_keys=[keyed(lake, api_id, "title")])
    for before, after, other in zip(plain, with_keys, others, strict=True):
        offers_it = any(api_id in offered[instruction] for instruction in before.records)
        assert len({before.digest, after.digest, other.digest}) == (3 if offers_it else 1)
    shorter = factory.settings.with_(compression={"max_tokens": 500})
    truncated = factory.settings.with_(compression={"method": "truncate"})
    digests = [{s.digest for s in replanned(lake, factory, of)} for of in (None, shorter, truncated)]
    assert len(set.union(*digests)) == 3 * len(plain)
    cut = replanned(lake, factory, truncated, response_keys=[keyed(lake, api_id, "name")])
    assert {s.digest for s in cut} == digests[2], "who truncates has no use for keys"


def test_what_is_shown_is_shortened_by_the_keys_and_what_is_stored_is_not(
    factory: Factory, tmp_path: Path, honest_teacher: Server
) -> None:
    lake, call = copied(factory, tmp_path), None
    for row in factory.lake.rows(factory.solutions.view, ApiCall):
        if row.status == 0 and isinstance(response := json.loads(row.response), dict) and len(row.response) > 200:
            call, key = row, next(iter(response))
            break
    assert call is not None
    short = settings_of(factory, honest_teacher.url).with_(compression={"max_tokens": 32})
    for spec in replanned(lake, factory, short, response_keys=[keyed(lake, call.api_id, key)]):
        receipt = annotated(lake, spec, short)
        made = {(c.solution_id, c.step): c for c in lake.read([receipt.tables["api_calls"]], ApiCall)}
        for solution in lake.read([receipt.tables["solutions"]], Solution):
            for step in (s for s in solution.steps if s.api_id):
                full = made[solution.id, step.id]
                keys = [key] if step.api_id == call.api_id else []
                shown = json.loads(step.observation or "")
                assert shown["response"] == compress(json.loads(full.response), keys, 32)
                assert count(json.dumps(shown["response"], ensure_ascii=False)) <= 32


def test_an_api_that_is_gone_is_said(factory: Factory) -> None:
    with pytest.raises(LakeError, match="which the catalogue no longer has: run `toolbench refresh`"):
        replanned(factory.lake, factory, apis=factory.instructions.view.entries("apis")[1:])


def test_half_a_surrogate_pair_from_a_model_is_no_crash(lake: Lake) -> None:
    """A model that writes an escape of half a pair into its arguments: valid JSON, impossible UTF-8."""
    api = an_api("Sky", "Forecast")
    catalogue = Spec(stage="catalogue", label="", partition={"category": "Weather"}, records=[], content="", params={})
    there = lake.finish(catalogue, {Api: [api], Tool: [a_tool(api)]}, taken_in=1, passed_on=1)
    row = Instruction(
        id="i", group="I1", category="Weather", collection="", combination_id="", text="Rain in Oslo?",
        candidates=[api.id], relevant=[api.id], split="train", model="m", prompt_digest="", seed=0, input_tokens=0,
        output_tokens=0, cost=0.0,
    )  # fmt: skip
    where = {"group": "I1", "category": "Weather"}
    asked = Spec(stage="instructions", label="", partition=where, records=["i"], content="", params={})
    made = lake.finish(asked, {Instruction: [row]}, taken_in=1, passed_on=1)
    view = lake.snapshot().model_copy(update={"tables": {e: [r.tables[e]] for r in (there, made) for e in r.tables}})
    server = Server(Scripted())
    settings = settings_for(lake, server.url)
    (spec,) = solutions.plan(lake, view, settings, partitions=[where])
    receipt = annotated(lake, spec, settings)
    server.stop()
    (solution,) = lake.read([receipt.tables["solutions"]], Solution)
    assert solution.outcome == "solved"
    assert solution.final_answer.startswith("Rain ")
    (call,) = lake.read([receipt.tables["api_calls"]], ApiCall)
    assert call.status == 0


class Scripted:
    """A teacher that calls the API and finishes, with half a surrogate pair in both arguments."""

    TURNS = (
        ("forecast_for_sky", '{"city": "Oslo \\ud83d"}'),
        ("Finish", '{"return_type": "give_answer", "final_answer": "Rain \\ud83d."}'),
    )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            event = await receive()
            body += event["body"]
            if not event.get("more_body"):
                break
        name, arguments = self.TURNS[any(m["role"] == "tool" for m in json.loads(body)["messages"])]
        call = {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}
        message = {"role": "assistant", "content": "So.", "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        answer = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
