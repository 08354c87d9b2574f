"""What all stages share: work on the shards that are not done, check the counts, say what happened."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from threading import BoundedSemaphore, Event
from typing import Any
from uuid import UUID

from prefect import Task, get_run_logger
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.events import emit_event
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import BaseModel

from flows.dispatch import Dispatch
from flows.owned import is_workers, owned
from flows.parameters import Options
from flows.terms import dispatching, terms
from toolbench import holdout, night, progress
from toolbench.concurrency import Stopping
from toolbench.errors import BudgetError, LakeError, TeacherError, ToolbenchError, UsageError
from toolbench.lake import Draft, Lake, Outcome, Partition, Receipt, Snapshot, Spec, Usage
from toolbench.records import Reject
from toolbench.report.stages import description, figures
from toolbench.services import services
from toolbench.settings import Settings
from toolbench.teacher import Teacher
from toolbench.teacher.ledger import Amount

BUDGET_USED_UP = "Budget used up"
"""The name of the state that a run ends in then; Prefect counts it as Completed."""
_LOGGED = 20
_POLL_SECONDS = 1.0
_TELL_SECONDS = 5.0
"""Between two updates of a progress artifact: each is a request, and costs as much CPU as ten of a search."""

Stage = Callable[[Lake, Draft, Settings], Draft]
Threads: Any = ThreadPoolTaskRunner(max_workers=64)
"""Wide enough for any `work.workers`, which `run_shards` keeps to."""


class Done(BaseModel):
    """What a flow returns: the key of its draft in the lake and, unless it was a part of a larger flow, the number of
    the snapshot that was published."""

    draft: str
    snapshot: int | None = None


def carry_out(flow: str, options: Options, draft: str | None, stage: Stage) -> Done:
    """Resolve the options, run a stage, and publish; or hand the draft on, if one was given."""
    with services(options.settings()) as found:
        lake = Lake(found.lake)
        with whole_run(lake, found) as settings, dispatching(options.resolved(settings)):
            before = lake.draft(draft) if draft else Draft()
            earlier = len(before.runs)
            after = stage(lake, before, settings)
            number = publish(lake, after, flow).number if draft is None else None
            return ended(Done(draft=lake.put_draft(after), snapshot=number), after.runs[earlier:])


@contextmanager
def whole_run(lake: Lake, settings: Settings) -> Iterator[Settings]:
    """A run with a budget of its own; a part of another one shares that. Gives the settings for its parts.

    A run that failed keeps its account: when Prefect tries it again, it goes on with what is left.
    """
    mine = night.begin(lake, settings, str(flow_run.id))
    yield mine
    if mine is not settings:
        night.end(lake, mine)


def ended(done: Done, runs: Sequence[Mapping[str, Any]]) -> Done:
    """What a flow returns: `done`, in a state that says so if `runs` left something for want of budget."""
    if not (sentence := stopped(runs)):
        return done
    get_run_logger().warning("%s", sentence)
    state: Any = Completed(name=BUDGET_USED_UP, message=sentence, data=done)
    return state  # type: ignore[no-any-return] # Prefect takes the result out of it


def stopped(runs: Sequence[Mapping[str, Any]]) -> str:
    """A sentence about what rows of `runs` left undone; empty if nothing."""
    cut = [run for run in runs if run["left"]]
    if not cut:
        return ""
    what = ", ".join(f"{run['left']} of {run['shards'] + run['left']} shards of {run['stage']}" for run in cut)
    return f"{cut[0]['stopped']} What was done is published; left for the next run: {what}."


def run_shards(
    lake: Lake,
    task: Task[..., Receipt],
    specs: Sequence[Spec],
    settings: Settings,
    stage: str,
    *,
    teacher: bool = False,
) -> Outcome:
    """Receipts of all shards, in the order of `specs`: those that are there, and those the task makes now.

    When the budget is used up no other is started, and the outcome has those that are left. At most `work.workers`
    tasks are under way at once. When a shard fails for good the others are still finished, so
    that nothing paid for is lost; then its error is raised. After a TeacherError no other is started. `teacher`: the
    stage asks the teacher, so that one that cannot be used is found out before any shard starts; and if the shards are
    many, and `work.dispatch` is set, other workers take part: see `flows.dispatch`.
    """
    started = time.monotonic()
    receipts, todo = _receipts(lake, specs)
    reused = len(receipts)
    if todo and teacher:
        asyncio.run(_check(settings))
    account = night.of(lake, settings)
    spent = account.spent() if account else Amount()
    left: list[Spec] = []
    counter = progress.Counter(stage, sum(s.size for s in todo))
    task = task.with_options(retries=settings.work.retries)
    with _ending_well() as stopped, _progress_artifact(stage, counter, skip=not todo) as tell:
        given = terms(lake, settings) if teacher and len(todo) > settings.work.batch_shards else None
        if given is not None:
            ourselves = partial(_work_on, lake, task, settings=settings, counter=counter, tell=tell)
            Dispatch(lake, given, settings, counter, tell, ourselves).run(todo)
        ours = _receipts(lake, todo)[1] if given else todo
        left = _work_on(lake, task, ours, settings, counter, tell)
        # Prefect may remember shards whose receipts were removed since: it has to forget them.
        left = _work_on(lake, task.with_options(refresh_cache=True), left, settings, counter, tell)
    if left:
        raise LakeError(
            f"The receipt of {stage} shard {left[0].digest} ({left[0].label}) is gone from {lake.uri} although the "
            "shard was just done; end what removes files there and run the same command again."
        )
    if todo:
        receipts, left = _receipts(lake, specs)
    counter.finish("unchanged" if not todo else "budget used up" if stopped else "")
    outcome = Outcome(stage, receipts, reused, time.monotonic() - started)
    outcome.lake, outcome.left, outcome.stopped = lake, left, "".join(stopped)
    if account:
        paid = account.spent().minus(spent)
        outcome.paid = Usage(calls=paid.calls, input_tokens=paid.tokens, cost=round(paid.dollars, 9))
    return outcome


@contextmanager
def _ending_well() -> Iterator[list[str]]:
    """A budget that is used up is no failure: what it gives then holds the sentence that says so."""
    said: list[str] = []
    try:
        yield said
    except BudgetError as error:
        said.append(str(error))


async def _check(settings: Settings) -> None:
    async with Teacher(settings.teacher) as teacher:
        # Somebody at a terminal is told at once that the address is wrong; nobody watches over a worker's run.
        await teacher.check(settings.teacher.gone_seconds if is_workers() else 0.0)


def _receipts(lake: Lake, specs: Iterable[Spec]) -> tuple[list[Receipt], list[Spec]]:
    """The receipts that are there, and the shards that have none, each in the order of `specs`."""
    found = [(spec, lake.receipt(spec.digest)) for spec in specs]
    return [r for _, r in found if r is not None], [spec for spec, r in found if r is None]


def _work_on(
    lake: Lake,
    task: Task[..., Receipt],
    specs: Sequence[Spec],
    settings: Settings,
    counter: progress.Counter,
    tell: Callable[[], None],
) -> list[Spec]:
    """Run the task for every shard; gives the shards that have no receipt even so. Raises what a shard failed with.

    When the flow run is cancelled, or Ctrl-C is pressed, all shards end at once and write their journals.
    """
    stopping = Stopping()
    if not specs:
        return []
    try:
        with owned(stopping):
            return _shards_left(lake, task, specs, settings, counter, tell, stopping)
    except BaseException as error:
        if not isinstance(error, Exception):  # Prefect's TerminationSignal, KeyboardInterrupt
            stopping.stop()
        raise


def _shards_left(
    lake: Lake,
    task: Task[..., Receipt],
    specs: Sequence[Spec],
    settings: Settings,
    counter: progress.Counter,
    tell: Callable[[], None],
    stopping: Stopping,
) -> list[Spec]:
    futures: list[PrefectFuture[Receipt]] = []
    slots = BoundedSemaphore(settings.work.workers)
    hopeless = Event()

    def ended(future: PrefectFuture[Receipt]) -> None:
        try:
            if isinstance(future.result(raise_on_failure=False), TeacherError | BudgetError):
                hopeless.set()  # no shard can do without the teacher, or without money
        finally:
            slots.release()  # whatever became of it: without its slot the flow would wait forever

    for spec in specs:
        while not slots.acquire(timeout=_POLL_SECONDS):
            tell()
        if hopeless.is_set():
            break
        key = lake.put_spec(spec)
        given = {"lake": lake, "spec": key, "settings": settings, "label": spec.label}
        future = task.submit(**given, counter=counter, stopping=stopping)
        future.add_done_callback(ended)
        futures.append(future)
    while wait(futures, timeout=_POLL_SECONDS).not_done:
        tell()
    _raise_first([future.result(raise_on_failure=False) for future in futures], counter.stage)
    return _receipts(lake, specs)[1]


def _raise_first(results: Sequence[Any], stage: str) -> None:
    """A ToolbenchError is the user's to read; anything else is ours and keeps its traceback."""
    errors = [r for r in results if isinstance(r, BaseException)]
    if not errors:
        return
    failed = [e for e in errors if not isinstance(e, BudgetError)]
    if failed:
        get_run_logger().error("%s: %d of %d shards failed", stage, len(failed), len(results))
    raise next((e for e in failed if isinstance(e, ToolbenchError)), (failed or errors)[0])


@contextmanager
def _progress_artifact(stage: str, counter: progress.Counter, *, skip: bool) -> Iterator[Any]:
    """A progress artifact on the flow run's page; the block calls what it is given to bring it up to date."""
    if skip:
        yield lambda: None
        return
    artifact = create_progress_artifact(progress=0.0, key=f"{stage}-progress", description=f"{stage}: records done")
    if not isinstance(artifact, UUID):
        raise TypeError("artifacts are made in synchronous flows")

    told = time.monotonic()

    def tell() -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_SECONDS:
            update_progress_artifact(artifact, progress=min(100.0, 100.0 * counter.done / max(1, counter.total)))
            told = time.monotonic()

    yield tell
    update_progress_artifact(artifact, progress=100.0)


def categories(lake: Lake, draft: Draft, settings: Settings) -> list[str]:
    """The categories that settings name; if they name none, those the draft is about, or all that the lake has.

    Raises UsageError if the lake has no APIs, or none of a category that settings name.
    """
    known = sorted({p["category"] for p in draft.partitions("apis", lake.snapshot()) if "source" in p})
    if not known:
        raise UsageError(f"The lake {lake.uri} has no APIs yet: run collect-apis first, or `toolbench refresh`.")
    wanted = list(settings.catalogue.categories) or known
    if missing := sorted(set(wanted) - set(known)):
        raise UsageError(f"The lake {lake.uri} has no APIs of category {missing[0]!r}; it has {', '.join(known)}.")
    return wanted


def finish(draft: Draft, outcome: Outcome, *, flow: str, main: str, tables: tuple[str, ...], model: str) -> Draft:
    """Check the counts of a stage and add it to the draft. Raises LakeError if they do not add up."""
    outcome.add_to(draft, flow=flow, main=main, tables=tables, model=model)
    _log_rejects(outcome)
    if outcome.left or outcome.reused < len(outcome.receipts):
        name = outcome.stage
        create_table_artifact(table=figures(outcome), key=f"{name}-counts", description=description(outcome))
    return draft


def _log_rejects(outcome: Outcome) -> None:
    """Which records failed, the first ones; all of them are in the table `rejects`."""
    if not outcome.lake or outcome.reused == len(outcome.receipts):
        return
    entries = [r.tables["rejects"] for r in outcome.receipts if "rejects" in r.tables]
    for reject in islice(outcome.lake.read(entries, Reject), _LOGGED):
        get_run_logger().warning("%s: %s: %s: %s", outcome.stage, reject.record_id, reject.reason, reject.detail)
    if (more := sum(entry.rows for entry in entries) - _LOGGED) > 0:
        get_run_logger().warning("%s: %d more are in the table rejects", outcome.stage, more)


def clear(draft: Draft, base: Snapshot, stage: str, tables: tuple[str, ...], gone: Callable[[Partition], bool]) -> None:
    """What a stage left in partitions of `base` that are `gone` leaves the lake, its rejects as well."""
    draft.clear(base, stage, tables, gone)


def publish(lake: Lake, draft: Draft, flow: str) -> Snapshot:
    """Publish a draft with its `runs` rows and tell the world; what changes nothing publishes nothing."""
    before = lake.snapshot()
    if not lake.changes(draft, before):
        return before
    holdout.check(lake, draft.view(before))
    lake.add_runs(draft)
    snapshot = lake.publish(draft, flow)
    manifest = lake.store.url(f"manifests/{snapshot.number:012d}.json")
    emit_event(
        event="toolbench.dataset.published",
        # A label, because triggers match labels only: an evaluation publishes too, and must not trigger the next one.
        resource={
            "prefect.resource.id": f"toolbench.lake.{lake.uri}",
            "prefect.resource.name": lake.uri,
            "toolbench.flow": flow,
        },
        payload={
            "snapshot": snapshot.number,
            "manifest": manifest,
            "rows": {table: snapshot.rows(table) for table in snapshot.tables},
        },
    )
    get_run_logger().info("published snapshot %d: %s", snapshot.number, manifest)
    return snapshot
