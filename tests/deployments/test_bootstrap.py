"""bootstrap: everything is made once, and a second run changes nothing."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import flow
from prefect.blocks.notifications import SlackWebhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.server.events.schemas.automations import EventTrigger
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Running

from deployments import automations
from deployments.bootstrap import FILE, POOLS, ROOT, bootstrap
from toolbench.errors import ToolbenchError, UsageError
from toolbench.lake.store import Store
from toolbench.settings import Settings

LIMIT = "teacher-teacher.test-v1"


@pytest.fixture
def settings() -> Settings:
    return Settings().with_(teacher={"model": "m", "base_url": "http://teacher.test/v1", "max_concurrency": 8})


@pytest.fixture
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as found:
        yield found


def everything(client: SyncPrefectClient) -> list[Any]:
    """All that bootstrap makes, with ids and times of change. Prefect's own triggers are made again by each deploy."""
    found: list[Any] = [*client.read_work_pools(), *client.read_deployments(), *client.read_automations()]
    found += [q for pool in POOLS for q in client.read_work_queues(work_pool_name=pool)]
    found += client.read_global_concurrency_limits()
    return sorted((type(one).__name__, str(one.id), one.model_dump_json(include={"name", "updated"})) for one in found)


def test_a_second_run_changes_nothing(client: SyncPrefectClient, settings: Settings) -> None:
    first = bootstrap(settings)
    deployed = yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]
    assert first == [
        "work pool cpu", "work queue cpu/shards", "work queue cpu/on-demand", "work queue cpu/nightly",
        "work pool gpu", f"limit {LIMIT}: 32", f"automation {automations.LOST!r}",
        f"automation {automations.NEVER_BEGAN!r}", f"automation {automations.CRASHED!r}",
        *sorted((f"deployment {d['name']} of {d['entrypoint']}" for d in deployed), key=lambda s: s.split()[::-1]),
    ]  # fmt: skip
    before = everything(client)
    assert bootstrap(settings) == []
    assert everything(client) == before

    # What Prefect has is what the yaml says.
    found = {d.entrypoint: d for d in client.read_deployments()}
    assert {d["entrypoint"]: d["name"] for d in deployed} == {e: d.name for e, d in found.items()}
    nightly = found["flows/nightly.py:nightly_refresh"]
    assert [(s.schedule.cron, s.schedule.timezone) for s in nightly.schedules] == [("0 2 * * *", "UTC")]  # type: ignore[union-attr]
    assert nightly.global_concurrency_limit is not None
    assert nightly.global_concurrency_limit.limit == 1
    assert nightly.concurrency_options is not None
    assert nightly.concurrency_options.collision_strategy == "CANCEL_NEW"
    assert (nightly.work_pool_name, nightly.work_queue_name) == ("cpu", "nightly")
    assert nightly.pull_steps == [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}]
    for deployment in deployed:
        owned = client.read_resource_related_automations(f"prefect.deployment.{found[deployment['entrypoint']].id}")
        assert sorted(a.name for a in owned) == sorted(t["name"] for t in deployment.get("triggers", []))


def test_what_somebody_changed_in_the_ui_stays(
    client: SyncPrefectClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.bootstrap._deployments", lambda client: [])
    bootstrap(settings)
    client.upsert_global_concurrency_limit_by_name(LIMIT, 5)
    (automation,) = client.read_automations_by_name(automations.LOST)
    client.pause_automation(automation.id)
    assert bootstrap(settings) == []
    assert client.read_global_concurrency_limit_by_name(LIMIT).limit == 5
    assert not client.read_automations_by_name(automations.LOST)[0].enabled
    assert bootstrap(settings, slots=7) == [f"limit {LIMIT}: 7"]
    assert bootstrap(settings, slots=7) == []


def test_slots_that_no_run_holds_are_free_again(
    client: SyncPrefectClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis has lost its data: no lease says who holds them any more."""
    monkeypatch.setattr("deployments.bootstrap._deployments", lambda client: [])
    bootstrap(settings, slots=4)
    client.increment_concurrency_slots([LIMIT], 3, "concurrency")

    @flow
    def somebody_s() -> None: ...

    client.create_flow_run(somebody_s, state=Running())
    assert bootstrap(settings) == []  # they may be its
    for run in client.read_flow_runs(limit=200):  # what other tests left behind, too
        client.set_flow_run_state(run.id, Completed(), force=True)
    assert bootstrap(settings) == [f"limit {LIMIT}: 3 slots that no run holds are free again"]
    assert client.read_global_concurrency_limit_by_name(LIMIT).active_slots == 0
    assert bootstrap(settings) == []


def test_somebody_is_told_of_a_failed_night_if_there_is_a_block(
    client: SyncPrefectClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.bootstrap._deployments", lambda client: [])
    bootstrap(settings)
    with pytest.raises(UsageError, match="no notification block 'slack-webhook/nobody'"):
        bootstrap(settings, notify="slack-webhook/nobody")
    SlackWebhook(url="https://hooks.test/x").save("on-call", overwrite=True)  # type: ignore[arg-type, unused-coroutine]
    assert bootstrap(settings, notify="slack-webhook/on-call") == [f"automation {automations.NIGHT_FAILED!r}"]
    assert bootstrap(settings, notify="slack-webhook/on-call") == []
    (made,) = client.read_automations_by_name(automations.NIGHT_FAILED)
    trigger = EventTrigger.model_validate(made.trigger.model_dump(mode="json"))
    assert covers(trigger, "prefect.flow-run.Failed", "nightly-refresh")
    assert not covers(trigger, "prefect.flow-run.Failed", "add-category")
    assert not covers(trigger, "prefect.flow-run.Completed", "nightly-refresh")


def covers(trigger: EventTrigger, event: str, flow: str) -> bool:
    related = {"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow", "prefect.resource.name": flow}
    received = {"occurred": "2025-06-21T00:00:00Z", "event": event, "related": [related], "payload": {}}
    received |= {"resource": {"prefect.resource.id": "prefect.flow-run.1"}}
    return trigger.covers(ReceivedEvent.model_validate({**received, "id": "00000000-0000-4000-8000-000000000001"}))


def test_a_run_is_lost_after_three_heartbeats_only() -> None:
    trigger = automations.lost(30).trigger
    assert trigger.within == timedelta(seconds=100)  # type: ignore[union-attr]
    assert automations.lost(180).trigger.within > timedelta(seconds=3 * 180)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("deployment", "started", "again"),
    [("nightly", 1, True), ("on-demand", 2, True), ("nightly", 3, False), ("shards", 1, False), ("", 1, False)],
)
def test_a_crashed_run_is_started_again_twice(deployment: str, started: int, again: bool) -> None:
    """A part of a run has no deployment, and batches of shards are left to the run that waits for them."""
    related = {"prefect.resource.id": "prefect.deployment.1", "prefect.resource.role": "deployment"}
    received = {
        "id": "00000000-0000-4000-8000-000000000001",
        "occurred": "2025-06-21T00:00:00Z",
        "event": "prefect.flow-run.Crashed",
        "resource": {"prefect.resource.id": "prefect.flow-run.1", "prefect.run-count": str(started)},
        "related": [related | {"prefect.resource.name": deployment}] if deployment else [],
        "payload": {},
    }
    trigger = EventTrigger.model_validate(automations.crashed().trigger.model_dump(mode="json"))
    assert trigger.covers(ReceivedEvent.model_validate(received)) == again


@pytest.mark.parametrize(
    ("deployment", "event", "covered", "waits"),
    [
        ("nightly", "Pending", True, True),
        ("on-demand", "InfrastructurePending", True, True),
        ("nightly", "Running", True, False),
        ("nightly", "Crashed", True, False),
        ("shards", "Pending", False, True),
        ("", "Pending", False, True),
    ],
)
def test_a_run_that_was_taken_is_waited_for_until_anything_is_heard_of_it(
    deployment: str, event: str, covered: bool, waits: bool
) -> None:
    related = {"prefect.resource.id": "prefect.deployment.1", "prefect.resource.role": "deployment"}
    received = {
        "id": "00000000-0000-4000-8000-000000000001",
        "occurred": "2025-06-21T00:00:00Z",
        "event": f"prefect.flow-run.{event}",
        "resource": {"prefect.resource.id": "prefect.flow-run.1"},
        "related": [related | {"prefect.resource.name": deployment}] if deployment else [],
        "payload": {},
    }
    trigger = EventTrigger.model_validate(automations.never_began(300).trigger.model_dump(mode="json"))
    assert trigger.covers(ReceivedEvent.model_validate(received)) == covered
    assert trigger.starts_after(received["event"]) == waits
    assert trigger.expects(received["event"])
    assert trigger.within == timedelta(seconds=300)


def test_without_a_server_it_says_so(settings: Settings) -> None:
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(UsageError, match="set PREFECT_API_URL"),
    ):
        bootstrap(settings)


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "TOOLBENCH_SEED": "x"}
    command = [sys.executable, "-m", "deployments.bootstrap"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("bootstrap: Setting seed (from TOOLBENCH_SEED)")
    assert done.stderr.count("\n") == 1


def test_the_bucket_of_a_new_s3_server_is_made_once(
    client: SyncPrefectClient, settings: Settings, moto_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.bootstrap._deployments", lambda client: [])
    on_s3 = settings.model_copy(update={"lake": "s3://factory-bucket/lake"})
    assert "bucket factory-bucket" in bootstrap(on_s3)
    assert bootstrap(on_s3) == []


def test_a_store_that_lets_two_writers_win_is_refused(
    client: SyncPrefectClient, settings: Settings, moto_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(store: Store, key: str, data: bytes) -> bool:
        store.write(key, data)
        return True

    monkeypatch.setattr(Store, "create", careless)
    with pytest.raises(ToolbenchError, match="lets 8 of 8 writers create the same object"):
        bootstrap(settings.model_copy(update={"lake": "s3://bucket/lake"}))
    assert Store("s3://bucket/lake").list("") == []
