"""A run that Prefect has given up on, or given to another worker, ends itself: nothing is asked by two for long.

A worker that lost its network, or a server that was away for minutes, looks like a crash: the run is marked Crashed and
started again elsewhere while its first process is still at work.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import Abort, ObjectNotFound

from toolbench.concurrency import Stopping

_LOOK_SECONDS = 10.0
_OURS = (StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED)
"""States of a run whose process may go on; one that is being cancelled is ended by its worker."""
_started: dict[UUID, int] = {}
"""How often the run of this process had been started when it was first looked at."""


def is_workers() -> bool:
    """Whether a worker started this process, for a run of a deployment."""
    return bool(os.environ.get("PREFECT__FLOW_RUN_ID"))


@contextmanager
def owned(stopping: Stopping) -> Iterator[None]:
    """While the block runs, the run of this process is looked at; `stopping` is told when it is somebody else's.

    Raises Abort then, upon which Prefect ends the process and says nothing about the run. A process that no worker
    started is left alone.
    """
    if not is_workers():
        yield
        return
    name = os.environ["PREFECT__FLOW_RUN_ID"]
    over, lost = Event(), Event()

    def look() -> None:
        while not over.is_set():
            if not is_ours(UUID(name)):
                lost.set()
                stopping.stop()
                return
            over.wait(_LOOK_SECONDS)

    watcher = Thread(target=look, daemon=True, name="owned")
    watcher.start()
    try:
        yield
    except Exception:
        if lost.is_set():
            raise Abort("Prefect gave this run up, or to another worker.") from None
        raise
    finally:
        over.set()


def is_ours(name: UUID) -> bool:
    """Whether the run is under way and was not started again since it was first looked at. While Prefect's server
    cannot be asked nothing is known, and it is."""
    try:
        with get_client(sync_client=True) as client:
            run = client.read_flow_run(name)
    except ObjectNotFound:
        return False
    except Exception:
        return True
    return _still(run)


def _still(run: FlowRun) -> bool:
    first = _started.setdefault(run.id, run.run_count)
    return run.run_count == first and (run.state is None or run.state.type in _OURS)
