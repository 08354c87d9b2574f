"""The factory on many machines: real processes, killed, cut off and restarted in the middle of their work."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from many_machines import PATIENCE, PREFECT, Stack, missing, until

from toolbench.lake import Lake
from toolbench.records import Instruction, Judgment, Solution

pytestmark = pytest.mark.timeout(1800)

LATENCY = 0.4
"""Seconds that the teacher takes for an answer."""
AT_ONCE, WORKERS = 2, 2
"""Requests of one shard, and shards of one process, under way at once."""
FLUSHED = 1.0
"""Seconds after which an answer is in the journal, as promised."""
SETTINGS = {
    "TOOLBENCH_INSTRUCTIONS__TOTAL": "24",
    "TOOLBENCH_INSTRUCTIONS__PER_COMBINATION": "4",
    "TOOLBENCH_JUDGE__VOTES": "1",
    "TOOLBENCH_WORK__SHARD_SIZE": "2",
    "TOOLBENCH_WORK__BATCH_SHARDS": "5",
    "TOOLBENCH_WORK__WORKERS": str(WORKERS),
    "TOOLBENCH_TEACHER__MAX_CONCURRENCY": str(AT_ONCE),
    "TOOLBENCH_CATALOGUE__TOOL_HOLDOUT": "0",
    "TOOLBENCH_CATALOGUE__CATEGORY_HOLDOUT": "0",
    "TOOLBENCH_RETRIEVER__MAX_TOKENS": "64",
    "TOOLBENCH_SEED": "7",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, tiny_base: str) -> Iterator[Stack]:
    if why := missing():
        pytest.skip(why)
    settings = SETTINGS | {"TOOLBENCH_RETRIEVER__BASE": tiny_base}
    with Stack(tmp_path_factory.mktemp("machines"), settings, latency_ms=int(LATENCY * 1000)) as stack:
        stack.bootstrap()
        stack.switch_off("A dataset is evaluated", "A dataset is reported")  # two processes more, for another test
        for name in ("one", "two"):
            stack.worker(name)
        yield stack


@pytest.fixture
def lake(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """The factory's lake, as anybody sees it who has its address."""
    import s3fs

    for name, value in stack.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield Lake(stack.lake)
    s3fs.S3FileSystem.clear_instance_cache()


def journaled(lake: Lake, spec: str = "") -> Counter[str]:
    """How often each request to the teacher stands in the journals, of one shard or of all.

    What stands there twice in a shard's journal counts once, and so does what a shard has taken from an earlier one's.
    """
    answers: dict[tuple[str, str, str, int], Any] = {}
    for key, _ in lake.store.list(f"journals/{spec}" if spec else "journals"):
        columns = ["record", "kind", "request", "occurrence", "started_at"]
        for row in pq.ParquetFile(pa.BufferReader(lake.store.read(key))).read(columns).to_pylist():
            if row["kind"] == "chat":
                name = (key.split("/")[1], row["record"], row["request"], row["occurrence"])
                answers[name] = min(row["started_at"], answers.get(name, row["started_at"]))
    asked = {(record, request, number, at) for (_, record, request, number), at in answers.items()}
    return Counter(request for _, request, _, _ in asked)


def done(lake: Lake, stage: str) -> list[str]:
    """Names of a stage's shards that have a receipt."""
    keys = [key for key, _ in lake.store.list(f"specs/{stage}")]
    there = {key for key, _ in lake.store.list("receipts")}
    return [name for name in (Path(key).stem for key in keys) if f"receipts/{name}.json" in there]


def paid_for_nothing(stack: Stack, lake: Lake, before: Counter[str]) -> int:
    """Answers that were asked for again, since `before`; all that is in the journals was asked for."""
    asked, kept = stack.asked(), journaled(lake)
    invented = kept - asked
    assert not invented, f"in journals and never asked for: {rows_of(lake, invented)}"
    return sum((asked - kept).values()) - sum(before.values())


def rows_of(lake: Lake, requests: Counter[str]) -> list[tuple[str, dict[str, Any]]]:
    """The journals' rows of some requests, with the shard they stand in."""
    return [
        (key, row)
        for key, _ in lake.store.list("journals")
        for row in pq.ParquetFile(pa.BufferReader(lake.store.read(key))).read().to_pylist()
        if row["request"] in requests
    ]


def nothing_lost_nothing_double(lake: Lake, category: str, least: int = 10) -> None:
    """Every instruction of a category has one solution, and every solution that was judged one judgment."""
    snapshot = lake.snapshot()
    instructions = [row.id for row in lake.pick(snapshot, Instruction, "category", {category})]
    solutions = list(lake.pick(snapshot, Solution, "category", {category}))
    judgments = [row.solution_id for row in lake.rows(snapshot, Judgment)]
    assert len(instructions) == len(set(instructions)) >= least
    assert sorted(row.instruction_id for row in solutions) == sorted(instructions)
    assert len(judgments) == len(set(judgments))
    assert {row.id for row in solutions if row.final_answer} <= set(judgments)


def test_all_is_deployed_and_an_event_adds_its_category_alone(stack: Stack, lake: Lake) -> None:
    (schedule,) = stack.deployment("nightly")["schedules"]
    assert schedule["active"]
    assert schedule["schedule"]["cron"] == "0 2 * * *"
    until(lambda: stack.runs("nightly"), "the scheduler made no runs of the night")
    payload = json.dumps({"category": "Events", "source": stack.documents("Events", "Science")})
    event = ["event", "emit", "toolbench.category.requested", "--resource-id", "toolbench.inbox.Events"]
    subprocess.run([*PREFECT, *event, "--payload", payload], env=stack.environment, check=True, capture_output=True)
    (run,) = until(lambda: stack.runs("on-demand"), "the event started nothing")
    assert stack.ends(run["id"]) == "Completed", stack.logs(run["id"])
    snapshot = lake.snapshot()
    assert snapshot.flow == "add-category"
    for table in ("apis", "instructions", "solutions", "conversations"):
        assert {entry.partition.get("category") for entry in snapshot.entries(table)} == {"Events"}, table
    nothing_lost_nothing_double(lake, "Events")
    batches = stack.runs("shards")
    assert batches, "its shards were not handed out"
    assert all(len(run["parameters"]["shards"]) <= 5 for run in batches)
    assert paid_for_nothing(stack, lake, Counter()) == 0


def test_a_killed_worker_s_run_is_finished_by_the_other_and_no_shard_is_paid_for_twice(
    stack: Stack, lake: Lake
) -> None:
    before = stack.asked() - journaled(lake)
    finished = len(done(lake, "solutions"))
    never_began = stack.taken("daily")
    run = stack.start("on-demand", category="Finance", source=stack.documents("Finance"), options={})
    until(lambda: len(done(lake, "solutions")) >= finished + 2, lambda: f"no shards: {stack.logs(run)}", every=0.5)
    (victim,) = [w for w in stack.workers.values() if any(_runs(process, run) for process in w.family)]
    victim.kill()
    kept = {name: journaled(lake, name) for name in done(lake, "solutions")}
    assert stack.ends(run) == "Completed", stack.logs(run)
    states = stack.states(run)
    assert states.index("Crashed") < states.index("AwaitingRetry") < states.index("Completed"), states
    nothing_lost_nothing_double(lake, "Finance")
    # What the dead processes were asking for, and what they had been answered within the last second; together they
    # had no more slots than the limit has.
    assert paid_for_nothing(stack, lake, before) <= AT_ONCE * WORKERS * (1 + int(FLUSHED / LATENCY))
    # Of shards that were done nothing was asked again, be it one request.
    assert {name: journaled(lake, name) for name in kept} == kept
    asked = stack.asked()
    assert all(asked[request] == journaled(lake)[request] for rows in kept.values() for request in rows)
    stack.worker("three")
    # Another one of which nothing was heard after it was taken: with nobody's help.
    assert stack.ends(never_began) == "Completed", stack.logs(never_began)
    states = stack.states(never_began)
    assert states[:2] == ["Pending", "AwaitingRetry"], states
    assert states[-2:] == ["Running", "Completed"], states


def _runs(process: Any, run: str) -> bool:
    try:
        return bool(process.environ().get("PREFECT__FLOW_RUN_ID") == run)
    except Exception:
        return False


def test_nights_and_a_category_at_once_outlive_every_outage(stack: Stack, lake: Lake) -> None:
    before, number, there = stack.asked() - journaled(lake), lake.snapshot().number, categories(lake)
    night = {"categories": ["Mapping"], "instructions": 30, "catalogue": stack.documents("Mapping")}
    runs = [stack.start("nightly", options=night)]
    runs += [stack.start("on-demand", category="Location", source=stack.documents("Location"), options={})]
    with stack.command("refresh", "--catalogue", stack.documents("Data"), "--categories", "Data") as second_night:
        for name, seconds in (("teacher", 15.0), ("s3", 15.0), ("redis", 5.0), ("server", 0.0), ("postgres", 0.0)):
            asked = stack.asked().total()
            until(lambda asked=asked: stack.asked().total() >= asked + 12, f"nothing was asked before {name} is down")
            with stack.without(name):
                time.sleep(seconds)
        for run in runs:
            assert stack.ends(run) == "Completed", stack.logs(run)
        assert second_night.wait(PATIENCE) == 0, stack.said("refresh")
    for category in ("Mapping", "Location", "Data"):
        nothing_lost_nothing_double(lake, category)
    assert categories(lake) == there | {"Mapping", "Location", "Data"}
    # Three publications, one after the other: none took another's number.
    published = [lake.snapshot(n) for n in lake.numbers() if n > number]
    assert [snapshot.number for snapshot in published] == [number + 1, number + 2, number + 3]
    assert sorted(snapshot.flow for snapshot in published) == ["add-category", "nightly-refresh", "nightly-refresh"]
    # What the teacher was about to answer when it was stopped.
    assert paid_for_nothing(stack, lake, before) <= 3 * AT_ONCE * WORKERS


def categories(lake: Lake) -> set[str]:
    """The categories that have instructions; those of a collection have none of their own."""
    return {
        entry.partition["category"]
        for entry in lake.snapshot().entries("instructions")
        if "category" in entry.partition
    }
