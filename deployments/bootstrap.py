"""`python -m deployments.bootstrap`: all that the flows need on a Prefect server, and the flows themselves.

Work pools and their queues, limits, automations, the lake's bucket, then every deployment of prefect.yaml. It may be
run as often as one likes, after each update say: pools, queues, limits and the bucket stay as they are, as somebody may
have changed them in the UI; automations and deployments are brought up to date; a second run changes nothing. Workers
have to find the code where this command found it.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate, WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkQueueFilter,
    WorkQueueFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.variables import Variable
from prefect.workers.process import ProcessWorker

from deployments import automations
from tasks.limits import endpoint_limit, endpoints
from toolbench.digests import digest
from toolbench.errors import ToolbenchError, UsageError
from toolbench.lake.store import Store
from toolbench.settings import Settings, load

ROOT = Path(__file__).parents[1]
FILE = Path(__file__).with_name("prefect.yaml")
POOLS = {"cpu": {"shards": 1, "on-demand": 2, "nightly": 3}, "gpu": {}}
"""Queues of each work pool with their priorities: what a run under way waits for goes first, what somebody asked for
before what a clock started. Each pool has a queue `default` besides."""
_DEPLOYED = "toolbench_deployments"
_WRITERS = 8
_UNDER_WAY = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED]
BEGIN_SECONDS = 300
"""Longer than a client asks for a server that is away, so that who began meanwhile can say so."""


def bootstrap(
    settings: Settings, *, notify: str = "", slots: int | None = None, begin_seconds: int = BEGIN_SECONDS
) -> list[str]:
    """Make what is missing; returns a line for each thing that was made or changed.

    `notify` is a notification block, `<type>/<name>`, that is told of failed nights; `slots` what each teacher's
    endpoint takes at once: without it a limit that is there keeps its own; `begin_seconds` how long a run that a worker
    took may take to its first word. Raises UsageError if no server is configured or there is no such block,
    ToolbenchError if Prefect refuses a deployment.
    """
    if not get_current_settings().api.url:
        raise UsageError("No Prefect server is configured: set PREFECT_API_URL, for example http://127.0.0.1:4200/api.")
    with get_client(sync_client=True) as client:
        return [
            *_bucket(settings),
            *_pools(client),
            *_limits(client, settings, slots),
            *_freed(client),
            *_automations(client, notify, begin_seconds),
            *_deployments(client),
        ]


def _bucket(settings: Settings) -> Iterator[str]:
    """A new S3 server has no buckets. One that is there stays as it is; whether the lake can rest on it is tried."""
    if not settings.lake.startswith("s3://"):
        return
    import s3fs

    name = settings.lake.removeprefix("s3://").partition("/")[0]
    try:
        fs = s3fs.S3FileSystem()
        if not fs.exists(name):
            fs.mkdir(name)
            yield f"bucket {name}"
    except Exception as error:
        raise ToolbenchError(
            f"The bucket of {settings.lake} cannot be reached or made ({' '.join(str(error).split())[:200]}): check "
            "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    _honours_conditions(settings)


def _honours_conditions(settings: Settings) -> None:
    """Publishing rests on it: of several that write the same new key at once, one alone may win.

    Tried with a key of its own, which is removed again. Raises ToolbenchError if the store lets more than one win.
    """
    store, key = Store(settings.lake), f"probe/{uuid4().hex}"
    try:
        with ThreadPoolExecutor(_WRITERS) as threads:
            won = sum(threads.map(lambda n: store.create(key, f"{n}".encode()), range(_WRITERS)))
    finally:
        store.delete([key])
    if won != 1:
        raise ToolbenchError(
            f"{settings.lake} lets {won} of {_WRITERS} writers create the same object at once: publishing would lose "
            "snapshots there; choose a store that honours conditional writes (If-None-Match) under concurrency."
        )


def _pools(client: SyncPrefectClient) -> Iterator[str]:
    for pool, queues in POOLS.items():
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(WorkPoolCreate(name=pool, type=ProcessWorker.type, base_job_template=template))
            yield f"work pool {pool}"
        for queue, priority in queues.items():
            wanted = WorkQueueFilter(name=WorkQueueFilterName(any_=[queue]))
            if not client.read_work_queues(work_pool_name=pool, work_queue_filter=wanted):
                client.create_work_queue(name=queue, priority=priority, work_pool_name=pool)
                yield f"work queue {pool}/{queue}"


def _limits(client: SyncPrefectClient, settings: Settings, slots: int | None) -> Iterator[str]:
    usual = settings.teacher.max_concurrency * settings.work.workers
    for name in map(endpoint_limit, endpoints(settings)):
        try:
            known = client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=slots or usual))
            yield f"limit {name}: {slots or usual}"
        else:
            if slots is not None and known.limit != slots:
                client.upsert_global_concurrency_limit_by_name(name, slots)
                yield f"limit {name}: {slots}"


def _freed(client: SyncPrefectClient) -> Iterator[str]:
    """Slots that are taken although no run is under way: a Redis that lost its data no longer knows who held them, and
    they would be taken for ever, those of the deployments' own limits too."""
    under_way = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY)))
    if client.read_flow_runs(flow_run_filter=under_way, limit=1):
        return
    for limit in client.read_global_concurrency_limits(limit=200):
        if limit.active_slots:
            client.update_global_concurrency_limit(str(limit.id), GlobalConcurrencyLimitUpdate(active_slots=0))
            yield f"limit {limit.name}: {limit.active_slots} slots that no run holds are free again"


def _automations(client: SyncPrefectClient, notify: str, begin_seconds: int) -> Iterator[str]:
    seconds = get_current_settings().flows.heartbeat_frequency
    wanted = [*([automations.lost(seconds)] if seconds else []), automations.never_began(begin_seconds)]
    wanted.append(automations.crashed())
    if notify:
        wanted.append(automations.night_failed(_block(client, notify)))
    for automation in wanted:
        known = client.read_automations_by_name(automation.name)
        if not known:
            client.create_automation(automation)
        elif not _same(known[0], automation):
            # Whether it is switched on is for whoever watches.
            client.update_automation(known[0].id, automation.model_copy(update={"enabled": known[0].enabled}))
        else:
            continue
        yield f"automation {automation.name!r}"


def _block(client: SyncPrefectClient, name: str) -> UUID:
    kind, _, title = name.partition("/")
    try:
        return client.read_block_document_by_name(title, kind).id
    except ObjectNotFound:
        raise UsageError(
            f"There is no notification block {name!r}: make it in the UI, and give it as <type>/<name>, for example "
            "slack-webhook/on-call."
        ) from None


def _same(one: AutomationCore, other: AutomationCore) -> bool:
    fields = {"name", "description", "trigger", "actions"}
    return one.model_dump(mode="json", include=fields) == other.model_dump(mode="json", include=fields)


def _deployments(client: SyncPrefectClient) -> Iterator[str]:
    """Deployed only if something changed: Prefect makes triggers again, and an event in between would be lost."""
    wanted = {(d["entrypoint"], d["name"]) for d in yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]}
    there = {(d.entrypoint, d.name) for d in client.read_deployments(limit=200)}
    fingerprint = _fingerprint()
    if wanted <= there and Variable.get(_DEPLOYED) == fingerprint:
        return
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(FILE)]
    environment = {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    there = {(d.entrypoint, d.name) for d in client.read_deployments(limit=200)}
    if done.returncode or not wanted <= there:
        said = " ".join((done.stdout + done.stderr).split())[-500:]
        raise ToolbenchError(f"Prefect did not deploy {FILE.name}: {said}")
    Variable.set(_DEPLOYED, fingerprint, overwrite=True)
    yield from (f"deployment {name} of {entrypoint}" for entrypoint, name in sorted(wanted))


def _fingerprint() -> str:
    """Of all that a deployment is made from: the yaml, the flows' code with its forms, and where the code is."""
    files = [FILE, *sorted((ROOT / "flows").glob("*.py"))]
    return digest([str(ROOT), *(path.read_text(encoding="utf-8") for path in files)])


def main() -> int:
    """The command. Exit code 0: done; otherwise that of the error, which is one sentence."""
    parser = argparse.ArgumentParser(prog="python -m deployments.bootstrap", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--notify",
        metavar="TYPE/NAME",
        default=os.environ.get("NOTIFICATION_BLOCK", ""),
        help="a notification block that is told of failed nights, such as slack-webhook/on-call [$NOTIFICATION_BLOCK]",
    )
    parser.add_argument("--slots", type=int, metavar="N", help="requests that each teacher's endpoint takes at once")
    parser.add_argument(
        "--begin-seconds",
        type=int,
        default=BEGIN_SECONDS,
        metavar="N",
        help="seconds that a run may take from being taken by a worker to its first word (default: %(default)s)",
    )
    given = parser.parse_args()
    if given.begin_seconds < 10:
        parser.error("--begin-seconds has to be 10 at least")
    if given.slots is not None and given.slots < 1:
        parser.error("--slots has to be 1 at least")
    try:
        changes = bootstrap(load().settings, notify=given.notify, slots=given.slots, begin_seconds=given.begin_seconds)
    except ToolbenchError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(changes) if changes else "nothing to do: everything is there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
