"""A flow run that annotates, cancelled as the button in Prefect's UI does it; and the command, by SIGTERM."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from workshop import Factory, Server, forget, journaled, offline

from toolbench import solutions
from toolbench.demo import HOST
from toolbench.lake import Lake
from toolbench.services import child

STOPPED_WITHIN = 10.0
"""Seconds, as promised."""
CONCURRENCY, WORKERS = 4, 2


@pytest.fixture
def teacher() -> Iterator[Server]:
    server = offline(latency_ms=300)
    yield server
    server.stop()


@pytest.fixture
def lake(factory: Factory, tmp_path: Path) -> Lake:
    """The factory's lake as it was when the instructions were published."""
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    lake = Lake(str(tmp_path / "lake"))
    forget(lake, *factory.solutions.specs, *factory.judgments.specs, *factory.dataset.specs)
    shutil.rmtree(tmp_path / "lake" / "journals")
    number = factory.instructions.view.number
    lake.store.delete([f"manifests/{n:012d}.json" for n in lake.numbers() if n > number])
    return lake


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOOLBENCH_", "OPENAI_", "PREFECT_"))}
    kept |= {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    return kept | {"DO_NOT_TRACK": "1", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}


def options(lake: Lake, teacher: Server, hub: Server) -> dict[str, Any]:
    """Those of the factory's settings that decide, and a teacher that is slow."""
    more = {
        "apis.hosts": {HOST: {"connect": hub.url, "methods": ["POST"], "rate": 0, "concurrency": 64}},
        "teacher.max_concurrency": CONCURRENCY,
        "work.workers": WORKERS,
        "seed": 7,
    }
    return {"lake": lake.uri, "base_url": f"{teacher.url}/v1", "more": more}


def until(what: Callable[[], Any], seconds: float, why: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, why
        time.sleep(0.1)
    return found


def rest_is_asked_once(factory: Factory, lake: Lake, teacher: Server) -> None:
    """What was asked so far is in the journals, and running again asks for the rest alone."""
    asked = teacher.asked()
    specs = factory.solutions.specs
    kept = sum(len(journaled(lake, spec)) for spec in specs)
    assert asked - CONCURRENCY * WORKERS <= kept <= asked
    teacher.reset()
    settings = factory.settings.with_(teacher={"base_url": f"{teacher.url}/v1", "max_concurrency": 64})
    calls = sum(asyncio.run(solutions.annotate(lake, spec, settings, lambda: None)).usage.calls for spec in specs)
    assert teacher.asked() == calls - kept
    for spec in specs:
        assert lake.receipt(spec.digest) == factory.lake.receipt(spec.digest)


def test_cancelled_from_the_ui_it_stops_soon_and_keeps_what_was_paid_for(
    factory: Factory, lake: Lake, teacher: Server, hub_server: Server, environment: dict[str, str], tmp_path: Path
) -> None:
    with child("flows.server", [], "Prefect's server", environment) as port:
        api = f"http://127.0.0.1:{port}/api"
        until(lambda: _answers(f"{api}/health"), 180, "Prefect's server did not start")
        serving = "from flows.annotate import annotate_solutions; annotate_solutions.serve('test')"
        with (tmp_path / "runner.log").open("wb") as log:
            runner = subprocess.Popen(
                [sys.executable, "-c", serving], env=environment | {"PREFECT_API_URL": api}, stdout=log, stderr=log
            )
        try:
            there = until(lambda: _deployment(api), 120, "nothing is served")
            parameters = {"options": options(lake, teacher, hub_server)}
            run = httpx.post(
                f"{api}/deployments/{there}/create_flow_run", json={"parameters": parameters}, timeout=60
            ).json()["id"]
            until(lambda: teacher.asked() >= 25, 180, "the teacher was not asked")
            cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
            began = time.monotonic()
            httpx.post(f"{api}/flow_runs/{run}/set_state", json=cancelling, timeout=60).raise_for_status()
            until(lambda: _state(api, run) == "CANCELLED", STOPPED_WITHIN, "it went on after it was cancelled")
            print(f"stopped after {time.monotonic() - began:.1f} s")
        finally:
            runner.send_signal(signal.SIGINT)
            runner.wait(30)
    rest_is_asked_once(factory, lake, teacher)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=60).status_code == 200
    except httpx.HTTPError:
        return False


def _deployment(api: str) -> str:
    found = httpx.post(f"{api}/deployments/filter", json={}, timeout=60).json()
    return str(found[0]["id"]) if found else ""


def _state(api: str, run: str) -> str:
    return str(httpx.get(f"{api}/flow_runs/{run}", timeout=60).json()["state_type"])
