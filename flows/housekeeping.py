"""housekeeping: what nobody needs any more leaves the lake and Prefect's database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterParentTaskRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, ConfigDict, Field

from flows.parameters import Options, lake_run_name
from toolbench.lake import Lake

NAME = "housekeeping"
WRITERS = (
    "add-category",
    "annotate-instructions",
    "annotate-solutions",
    "build-dataset",
    "collect-apis",
    "compress-responses",
    "evaluate",
    "finetune-student",
    "generate-instructions",
    "nightly-refresh",
    "promote-student",
    "screen-apis",
    "train-retriever",
)
"""Flows that add to the lake: what they wrote and have not published yet looks like rubbish to gc."""
_BATCHES = "work-on-shards"
_OURS = (*WRITERS, NAME, _BATCHES, "publish-report", "watch-inbox")
_SOON = timedelta(minutes=30)
_PAGE = 200


class Retention(BaseModel):
    """How long things are kept."""

    model_config = ConfigDict(extra="forbid")

    snapshots: int = Field(7, ge=1, le=10_000, description="Newest snapshots of the lake that stay readable.")
    run_days: int = Field(30, ge=1, le=3650, description="Days that ended runs stay in Prefect.")
    max_runs: int = Field(2000, ge=1, le=100_000, description="Runs removed at most; the rest is for the next time.")
    mode: Literal["remove", "count"] = Field(
        "remove", description="remove: what is too old goes; count: only say what would go."
    )


class Cleaned(BaseModel):
    """What was removed, or would be: files of the lake with their bytes, and runs. `waiting_for`: the run because of
    which the lake was left alone, empty if it was not."""

    files: int
    bytes: int
    runs: int
    waiting_for: str = ""


@flow(name=NAME, flow_run_name=lake_run_name)
def housekeeping(options: Options, retention: Retention = Retention()) -> Cleaned:  # noqa: B008
    """Remove old snapshots with what only they refer to, and old runs.

    The lake is left alone while a flow that writes to one is running or is about to: its unpublished files look like
    rubbish. Runs that this Prefect server does not know, such as those of the command line, are not seen: run none.

    Args:
        options: Where the tables are; nothing else is looked at.
        retention: What stays, and for how long.
    """
    lake, remove = Lake(options.settings().lake), retention.mode == "remove"
    with get_client(sync_client=True) as client:
        busy = _busy(client)
        rubbish = [] if busy else _rubbish(lake, retention.snapshots, remove=remove)
        runs = _old_runs(client, retention, remove=remove)
    if busy:
        get_run_logger().warning("%s writes to a lake: %s was left alone", busy, lake.uri)
    done = Cleaned(files=len(rubbish), bytes=sum(size for _, size in rubbish), runs=runs, waiting_for=busy)
    _show(done, removed_files=remove and not busy, removed_runs=remove)
    return done


def _rubbish(lake: Lake, keep: int, *, remove: bool) -> list[tuple[str, int]]:
    """A lake that nothing was published to is left as it is: all in it is work under way."""
    if not lake.numbers():
        return []
    return lake.collect_garbage(keep) if remove else lake.garbage(keep)


def _busy(client: SyncPrefectClient) -> str:
    """The name of a run that writes, or will within half an hour; empty if there is none."""
    flows, batches = (FlowFilter(name=FlowFilterName(any_=names)) for names in (list(WRITERS), [_BATCHES]))
    under_way = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING, StateType.PAUSED]
    soon = FlowRunFilterExpectedStartTime(before_=_now() + _SOON)
    # The whole speaks for its parts: one that was killed with it may say long after that it is running.
    whole = FlowRunFilterParentTaskRunId(is_null_=True)
    for kind, wanted in (
        (flows, FlowRunFilter(state=_in(under_way), parent_task_run_id=whole)),
        (flows, FlowRunFilter(state=_in([StateType.SCHEDULED]), expected_start_time=soon)),
        # A batch outlives a whole that was killed, and the whole comes back for what it did.
        (batches, FlowRunFilter(state=_in(under_way))),
    ):
        for run in client.read_flow_runs(flow_filter=kind, flow_run_filter=wanted, limit=1):
            return run.name or str(run.id)
    return ""


def _old_runs(client: SyncPrefectClient, retention: Retention, *, remove: bool) -> int:
    """How many runs ended too long ago; they are removed if `remove`."""
    found = list(_ended(client, retention))[: retention.max_runs]
    for run in found if remove else []:
        try:
            client.delete_flow_run(run.id)
        except ObjectNotFound:
            continue  # somebody else removed it
    return len(found)


def _ended(client: SyncPrefectClient, retention: Retention) -> Iterator[FlowRun]:
    """Runs of ours that ended before what is kept, the oldest first."""
    before = _now() - timedelta(days=retention.run_days)
    flows = FlowFilter(name=FlowFilterName(any_=list(_OURS)))
    wanted = FlowRunFilter(state=_in(list(TERMINAL_STATES)), end_time=FlowRunFilterEndTime(before_=before))
    for offset in range(0, retention.max_runs, _PAGE):
        page = client.read_flow_runs(
            flow_filter=flows, flow_run_filter=wanted, sort=FlowRunSort.START_TIME_ASC, limit=_PAGE, offset=offset
        )
        yield from page
        if len(page) < _PAGE:
            return


def _now() -> datetime:
    return datetime.now(UTC)


def _in(types: list[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=types))


def _show(done: Cleaned, *, removed_files: bool, removed_runs: bool) -> None:
    rows = [
        {"what": "files of the lake", "number": done.files, "bytes": done.bytes, "removed": removed_files},
        {"what": "runs in Prefect", "number": done.runs, "bytes": "", "removed": removed_runs},
    ]
    create_table_artifact(table=rows, key="housekeeping", description=done.waiting_for and f"Busy: {done.waiting_for}")
