"""How shards are worked on: once, again when that may help, never too many at a time."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterName

from flows.stage import Threads, run_shards
from tasks.shard import cache_key, shard_task
from toolbench.errors import LakeError, TeacherError, TransientError, UsageError
from toolbench.lake import Lake, Outcome, Receipt, Spec
from toolbench.progress import Counter
from toolbench.settings import Settings

STAGE = "trying"
QUICK: dict[str, Any] = {"retry_delay_seconds": [0.01], "retry_jitter_factor": None}


class Bench:
    """Work on shards that leaves a receipt, does `meanwhile` first, and remembers which shards it was called for."""

    def __init__(self, meanwhile: Callable[[Spec], None] = lambda _: None) -> None:
        self.called: list[str] = []
        self.busy_most = 0
        self._busy = 0
        self._lock = threading.Lock()
        self._meanwhile = meanwhile

    async def work(self, lake: Lake, spec: Spec, settings: Settings, done: Callable[[], None]) -> Receipt:
        with self._lock:
            self.called.append(spec.label)
            self._busy += 1
            self.busy_most = max(self.busy_most, self._busy)
        try:
            await asyncio.to_thread(self._meanwhile, spec)
            done()
            return lake.finish(spec, {}, taken_in=0, passed_on=0)
        finally:
            with self._lock:
                self._busy -= 1


def _specs(*labels: str) -> list[Spec]:
    return [
        Spec(stage=STAGE, label=label, partition={"category": label}, records=[label], content=label, params={}, size=1)
        for label in labels
    ]


def _settings(**work: int) -> Settings:
    return Settings().with_(work={"workers": 2, "retries": 0, **work})


def _run(lake: Lake, work: Any, specs: Sequence[Spec], settings: Settings) -> Outcome:
    """`run_shards` in a flow, as every stage calls it."""

    @flow(task_runner=Threads)
    def stage() -> Outcome:
        return run_shards(lake, shard_task(STAGE, work).with_options(**QUICK), specs, settings, STAGE)

    return stage()


def test_the_cache_key_is_the_lakes_id_and_the_shards_digest(lake: Lake, tmp_path: Path) -> None:
    (spec,) = _specs("a")
    key = lake.put_spec(spec)
    expected = f"{lake.id}-{spec.digest}"
    assert cache_key(None, {"lake": lake, "spec": key, "settings": _settings()}) == expected
    # Another run on another machine: another object for the same lake, other workers.
    assert cache_key(None, {"lake": Lake(lake.uri), "spec": key, "settings": _settings(workers=7)}) == expected
    other = Lake(str(tmp_path / "other"))
    assert cache_key(None, {"lake": other, "spec": other.put_spec(spec)}) != expected
    lake.collect_garbage(keep=1)
    assert cache_key(None, {"lake": lake, "spec": key}) != expected


def test_a_shard_that_prefect_remembers_is_not_worked_on_again(lake: Lake) -> None:
    bench, (spec,) = Bench(), _specs("a")
    arguments = {"lake": lake, "spec": lake.put_spec(spec), "settings": _settings(), "label": "a"}
    first = shard_task(STAGE, bench.work)(**arguments, counter=Counter(STAGE, 1))
    second = shard_task(STAGE, bench.work)(**arguments, counter=Counter(STAGE, 1))
    assert bench.called == ["a"]
    assert first == second == lake.receipt(spec.digest)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (TransientError("later"), 3),
        (ConnectionResetError("reset"), 3),
        (OSError("no descriptors left"), 3),
        (TeacherError("a wrong key"), 1),
        (UsageError("a wrong flag"), 1),
        (LakeError("a full disk"), 1),
        (ValueError("a mistake of ours"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_only_what_may_pass_is_tried_again(error: Exception, attempts: int, lake: Lake) -> None:
    def fail(_: Spec) -> None:
        raise error

    bench = Bench(fail)
    with pytest.raises(type(error), match=str(error)):
        _run(lake, bench.work, _specs("a"), _settings(retries=2))
    assert len(bench.called) == attempts


def test_what_passes_is_done_in_the_end(lake: Lake) -> None:
    failures = [TransientError("once"), OSError("twice")]

    def fail(_: Spec) -> None:
        if failures:
            raise failures.pop(0)

    outcome = _run(lake, Bench(fail).work, _specs("a"), _settings(retries=2))
    assert [r.label for r in outcome.receipts] == ["a"]


def test_shards_that_are_done_are_not_worked_on_and_receipts_come_in_order(lake: Lake) -> None:
    bench, specs = Bench(), _specs("a", "b", "c")
    lake.finish(specs[1], {}, taken_in=0, passed_on=0)
    outcome = _run(lake, bench.work, specs, _settings())
    assert sorted(bench.called) == ["a", "c"]
    assert [r.label for r in outcome.receipts] == ["a", "b", "c"]
    assert outcome.reused == 1
    again = _run(lake, bench.work, specs, _settings())
    assert len(bench.called) == 2
    assert (again.reused, again.receipts) == (3, outcome.receipts)


def test_a_receipt_that_was_removed_is_made_again_although_prefect_remembers_the_shard(lake: Lake) -> None:
    bench, specs = Bench(), _specs("a", "b")
    before = _run(lake, bench.work, specs, _settings()).receipts
    lake.store.delete([f"receipts/{specs[0].digest}.json"])
    outcome = _run(lake, bench.work, specs, _settings())
    assert sorted(bench.called) == ["a", "a", "b"]
    assert outcome.receipts == before
    assert outcome.reused == 1


def test_a_shard_that_leaves_no_receipt_is_an_error_and_not_left_out(lake: Lake) -> None:
    async def careless(lake: Lake, spec: Spec, settings: Settings, done: Callable[[], None]) -> Receipt:
        receipt = lake.finish(spec, {}, taken_in=0, passed_on=0)
        lake.store.delete([f"receipts/{spec.digest}.json"])
        return receipt

    with pytest.raises(LakeError, match=r"receipt of trying shard .* \(a\) is gone"):
        _run(lake, careless, _specs("a"), _settings())


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_shards_at_once_than_workers(workers: int, lake: Lake) -> None:
    bench = Bench(lambda _: time.sleep(0.2))
    outcome = _run(lake, bench.work, _specs(*"abcdef"), _settings(workers=workers))
    assert bench.busy_most == workers
    assert len(outcome.receipts) == 6


def test_a_failing_shard_does_not_stop_the_others_and_its_error_comes_last(lake: Lake) -> None:
    specs = _specs(*"abcdef")

    def fail(spec: Spec) -> None:
        if spec.label == "a":
            raise ValueError("ours")
        if spec.label == "b":
            raise LakeError("the user's")

    bench = Bench(fail)
    with pytest.raises(LakeError, match="the user's"):
        _run(lake, bench.work, specs, _settings())
    assert sorted(bench.called) == list("abcdef")
    assert [s.label for s in specs if lake.receipt(s.digest)] == list("cdef")


def test_without_a_teacher_no_other_shard_is_started_and_those_under_way_are_finished(lake: Lake) -> None:
    specs, failed = _specs(*"abcdef"), threading.Event()

    def fail(spec: Spec) -> None:
        if spec.label == "a":
            failed.set()
            raise TeacherError("a wrong key")
        failed.wait(30)
        time.sleep(1)

    bench = Bench(fail)
    with pytest.raises(TeacherError, match="a wrong key"):
        _run(lake, bench.work, specs, _settings(workers=2))
    assert sorted(bench.called) == ["a", "b"]
    assert [s.label for s in specs if lake.receipt(s.digest)] == ["b"]


def test_runs_are_named_after_their_shards(lake: Lake) -> None:
    _run(lake, Bench().work, _specs("I2 Weather 17/40"), _settings())
    wanted = TaskRunFilter(name=TaskRunFilterName(any_=["trying I2 Weather 17/40"]))
    with get_client(sync_client=True) as client:
        deadline = time.monotonic() + 30
        while not (runs := client.read_task_runs(task_run_filter=wanted)) and time.monotonic() < deadline:
            time.sleep(0.2)  # the server writes what tasks report when it gets to it
    assert [run.name for run in runs] == ["trying I2 Weather 17/40"]
