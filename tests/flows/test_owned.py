"""A process whose run is over, or somebody else's, ends what it does and says nothing more about the run."""

import os
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Crashed, Pending, Running, Scheduled

from flows import owned as module
from flows.owned import is_ours, is_workers, owned
from toolbench.concurrency import Stopping
from toolbench.errors import StoppedError


@flow
def some_flow() -> None:
    """What the run is of."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[UUID]:
    """A run that is under way, in this process as a worker would have started it."""
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.05)
    module._started.clear()
    with get_client(sync_client=True) as client:
        made = client.create_flow_run(some_flow, state=Pending()).id
        client.set_flow_run_state(made, Running())
        monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(made))
        yield made
    module._started.clear()


def _works(stopping: Stopping, *states: State[Any]) -> None:
    """What a shard does: something, until it is stopped; meanwhile its run gets into these states."""
    with owned(stopping), get_client(sync_client=True) as client:
        for state in states:
            client.set_flow_run_state(UUID(os.environ["PREFECT__FLOW_RUN_ID"]), state, force=True)
        for _ in range(1200):
            stopping.check()
            time.sleep(0.05)
        raise AssertionError("nobody stopped it")


def test_a_run_that_is_given_up_ends(run: UUID) -> None:
    assert is_ours(run)
    with pytest.raises(Abort):
        _works(Stopping(), Crashed())


def test_a_run_that_was_started_again_elsewhere_ends_here(run: UUID) -> None:
    assert is_ours(run)
    with pytest.raises(Abort):
        _works(Stopping(), Crashed(), Scheduled(), Pending(), Running())


def test_a_run_that_is_ours_goes_on_and_its_errors_are_its_own(run: UUID) -> None:
    stopping = Stopping()

    def fail() -> None:
        with owned(stopping):
            time.sleep(0.3)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    stopping.check()


def test_a_server_that_is_away_gives_no_run_away(run: UUID) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        assert is_ours(run)


def test_who_was_started_by_no_worker_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT__FLOW_RUN_ID", raising=False)
    assert not is_workers()
    with owned(Stopping()), pytest.raises(StoppedError):
        raise StoppedError("by hand")
