"""Shards of solutions under every fault at once, with a poisoned instruction, and with a teacher that goes for good."""

import asyncio
import importlib
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty import Faulty
from workshop import Factory, Server, forget, journaled, written

from toolbench import solutions
from toolbench.errors import TeacherError
from toolbench.lake import Lake, Receipt, Spec
from toolbench.records import Instruction, Solution
from toolbench.settings import Settings

PRICES = {"offline-teacher": (1.0, 4.0)}
Serve = Callable[[Faulty], Server]


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolbench.teacher.client.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("toolbench.teacher.touch.PAUSE", 0.01)
    monkeypatch.setattr("toolbench.teacher.touch.SECONDS", 0.5)


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[Server] = []

    def start(app: Faulty) -> Server:
        running.append(Server(app))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def spec(factory: Factory) -> Spec:
    return max(factory.solutions.specs, key=lambda s: s.size)


@pytest.fixture
def lake(factory: Factory, tmp_path: Path) -> Lake:
    """The factory's lake up to its instructions."""
    shutil.copytree(factory.lake.uri, tmp_path / "copy")
    lake = Lake(str(tmp_path / "copy"))
    forget(lake, *factory.solutions.specs)
    shutil.rmtree(tmp_path / "copy" / "journals")
    return lake


def to(factory: Factory, server: Server, **teacher: Any) -> Settings:
    quick = {"max_retries": 8, "timeout": 2.0, "breaker_seconds": 0.2, "gone_seconds": 1.0, "prices": PRICES}
    return factory.settings.with_(teacher={"base_url": f"{server.url}/v1", **quick, **teacher})


def annotated(lake: Lake, spec: Spec, settings: Settings) -> tuple[Receipt, list[Solution]]:
    receipt = asyncio.run(solutions.annotate(lake, spec, settings, lambda: None))
    receipt.check("solutions")
    return receipt, list(lake.read([receipt.tables["solutions"]], Solution))


def accounted(lake: Lake, spec: Spec, receipt: Receipt, rows: list[Solution]) -> None:
    """Every instruction has one outcome, and what the rows cost is what the journal says was paid."""
    assert sorted(row.instruction_id for row in rows) == sorted(spec.records)
    assert sum(receipt.outcomes.values()) == len(spec.records)
    assert set(receipt.outcomes) <= {"solved", "gave_up", "out_of_budget", "failed"}
    replies = [row["answer"] for row in journaled(lake, spec)]
    assert sum(row.calls for row in rows) == receipt.usage.calls == len(replies)
    for name in ("input_tokens", "output_tokens", "cost"):
        paid = sum(reply[name] for reply in replies)
        assert sum(getattr(row, name) for row in rows) == pytest.approx(paid)
        assert getattr(receipt.usage, name) == pytest.approx(paid)
    assert sum(reply["cost"] for reply in replies) > 0


def test_with_a_third_of_all_replies_at_fault_every_instruction_is_accounted_for(
    factory: Factory, lake: Lake, serve: Serve
) -> None:
    teacher = Faulty(0.3)
    settings, outcomes = to(factory, serve(teacher), gone_seconds=30.0), Counter[str]()
    specs = sorted(factory.solutions.specs, key=lambda s: s.size)[-4:]
    for spec in specs:
        receipt, rows = annotated(lake, spec, settings)
        accounted(lake, spec, receipt, rows)
        outcomes.update(receipt.outcomes)
    assert outcomes.total() == sum(spec.size for spec in specs) >= 12
    assert {"limited", "error", "silent", "cut"} <= teacher.struck.keys(), "a fault was not tried"
    assert max(teacher.given.values()) == 1, "a reply was paid for twice"
    before = written(lake)
    forget(lake, *specs)
    nowhere = factory.settings.with_(teacher={"base_url": "http://127.0.0.1:9/v1", "prices": PRICES})
    for spec in specs:
        annotated(lake, spec, nowhere)
    assert written(lake) == before


def test_an_instruction_at_which_the_teacher_always_fails_costs_no_other(
    factory: Factory, spec: Spec, lake: Lake, serve: Serve
) -> None:
    texts = {i.id: i.text for i in lake.read(spec.inputs["instructions"], Instruction)}
    poisoned = spec.records[1]
    server = serve(Faulty(poison=texts[poisoned]))
    receipt, rows = annotated(lake, spec, to(factory, server, max_retries=2))
    accounted(lake, spec, receipt, rows)
    honest = {s.instruction_id: s.outcome for s in factory.lake.rows(factory.solutions.view, Solution)}
    found = {row.instruction_id: row for row in rows}
    assert found[poisoned].outcome == "failed"
    assert found[poisoned].reason.startswith(
        "the teacher failed: the endpoint answers others and failed at this one 4 times: "
    )
    assert all(row.outcome == honest[name] for name, row in found.items() if name != poisoned)


def test_an_instruction_that_breaks_the_search_costs_no_other(
    factory: Factory, spec: Spec, lake: Lake, honest_teacher: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("toolbench.solutions.annotate")
    poisoned, search = spec.records[0], module.solve
    texts = {i.id: i.text for i in lake.read(spec.inputs["instructions"], Instruction)}

    async def solve(text: str, candidates: Any, tools: Any, settings: Any, chat: Any, *rest: Any, **more: Any) -> Any:
        result = await search(text, candidates, tools, settings, chat, *rest, **more)
        if text == texts[poisoned]:
            raise KeyError("what nobody\nforesaw \ud83d")
        return result

    monkeypatch.setattr(module, "solve", solve)
    receipt, rows = annotated(lake, spec, to(factory, honest_teacher, timeout=30.0))
    accounted(lake, spec, receipt, rows)
    (row,) = (row for row in rows if row.instruction_id == poisoned)
    assert (row.outcome, row.path, len(row.steps)) == ("failed", [], 1)
    assert row.reason.startswith("the search broke off: KeyError: ")
    assert row.calls > 0
    assert sum(r.outcome == "failed" for r in rows) == 1


@pytest.mark.parametrize("end", ["error", "silent", "refused"])
def test_a_teacher_that_goes_for_good_is_named_and_nothing_is_asked_twice(
    factory: Factory, spec: Spec, lake: Lake, serve: Serve, end: str
) -> None:
    """In a second instead of the half minute that settings give it."""
    teacher = Faulty(lives=9, end="error" if end == "refused" else end)
    server = serve(teacher)
    settings = to(factory, server, max_concurrency=3, timeout=60.0, breaker_failures=2)
    if end == "refused":
        watch_and_stop(teacher, server)
    with pytest.raises(TeacherError, match=r"is gone|cannot be reached") as caught:
        annotated(lake, spec, settings)
    assert server.url in str(caught.value)
    assert lake.receipt(spec.digest) is None
    kept = len(journaled(lake, spec))
    assert 9 - 3 <= kept <= 9
    back = Faulty()
    receipt, rows = annotated(lake, spec, to(factory, serve(back), timeout=30.0))
    accounted(lake, spec, receipt, rows)
    assert sum(back.given.values()) == receipt.usage.calls - kept
    assert max(back.given.values()) == 1
    assert Counter(teacher.given.keys() & back.given.keys()).total() == 9 - kept


def watch_and_stop(teacher: Faulty, server: Server) -> None:
    """Stop the server when the teacher's lives are over."""

    def watch() -> None:
        while teacher.lives > 0:
            time.sleep(0.005)
        server.stop()

    threading.Thread(target=watch, daemon=True).start()


def test_who_is_stopped_keeps_the_replies_under_way_and_asks_no_more(
    factory: Factory, spec: Spec, lake: Lake, start_teacher: Callable[..., Server]
) -> None:
    server = start_teacher(latency_ms=100)
    settings = to(factory, server, timeout=30.0)

    async def stopped() -> None:
        task = asyncio.create_task(solutions.annotate(lake, spec, settings, lambda: None))
        while await asyncio.to_thread(server.asked) < 8:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())
    kept = len(journaled(lake, spec))
    assert kept == server.asked() >= 8
    receipt, rows = annotated(lake, spec, settings)
    accounted(lake, spec, receipt, rows)
    assert server.asked() == receipt.usage.calls, "the rest alone was asked"
