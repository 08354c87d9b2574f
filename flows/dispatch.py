"""A stage's shards in batches for other workers: flow runs of `work-on-shards`, dispatched and waited for.

What is done is seen in the lake, by the receipts; what became of a batch, by its run's state. A batch whose worker died
is dispatched again, `work.retries` times; one that nobody takes is taken back and worked on by the process that waits,
so that runs which hold all workers and wait for their batches cannot wait for ever. Shards that a batch of another run
is working on, one of the same night before its crash for instance, are waited for and not asked twice.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import cast
from uuid import UUID, uuid4

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import Abort, ObjectNotFound
from prefect.states import Cancelled, Cancelling, Crashed

from flows.owned import owned
from flows.terms import Terms
from toolbench import errors, progress
from toolbench.concurrency import Stopping
from toolbench.errors import BudgetError, TeacherError, ToolbenchError, UsageError
from toolbench.lake import Lake, Spec
from toolbench.settings import Settings

FLOW = "work-on-shards"
_POLL_SECONDS = 1.0
_LIST_SECONDS = 5.0
"""Receipts are listed no more often, and never for more than a tenth of the time."""
_SILENT_SECONDS = 90.0
"""So long a batch's process may take from being started to its first word, or from being told to end to its last."""
_SILENT: dict[StateType, Callable[[], State[object]]] = {
    StateType.PENDING: lambda: Crashed(message="It was taken and never began."),
    StateType.CANCELLING: lambda: Cancelled(message="It was told to end, and nobody said that it has."),
}
"""What becomes of a batch that stays in a state which only its process or its worker can end."""
_ALIVE = [kind for kind in StateType if kind not in TERMINAL_STATES]


@dataclass(slots=True)
class _Batch:
    specs: list[Spec]
    seen: float
    """When it was dispatched, or found, by our clock."""
    state: UUID | None = None
    """What its run was last seen in."""
    since: float = 0.0
    """When it was first seen in it."""


class Dispatch:
    """The batches of one stage: `Dispatch(…).run()` returns when every shard has had its chance."""

    def __init__(
        self,
        lake: Lake,
        given: Terms,
        settings: Settings,
        counter: progress.Counter,
        tell: Callable[[], None],
        work: Callable[[Sequence[Spec]], object],
    ) -> None:
        """`work` works on shards in this process; `tell` brings what is shown up to date."""
        self._lake, self._terms, self._work, self._stage = lake, given, settings.work, counter.stage
        self._counter, self._tell, self._ourselves = counter, tell, work
        self._tags = ["shards", f"lake {lake.id}", f"stage {self._stage}"]
        self._todo: dict[str, Spec] = {}
        self._chunks: list[tuple[str, list[Spec]]] = []
        """To be dispatched, each under a key: should its making be told twice, it is one run all the same."""
        self._joined = False
        self._under_way: dict[UUID, _Batch] = {}
        self._ours: set[UUID] = set()
        self._deaths: Counter[str] = Counter()
        self._errors: list[ToolbenchError] = []
        self._hopeless = False
        self._next_look = 0.0
        self._log = get_run_logger()

    def run(self, specs: Sequence[Spec]) -> None:
        """Hand out the shards and wait for them.

        Shards whose batch came to nothing are left without a receipt. Raises what a batch failed with once all others
        are over; after a TeacherError or BudgetError no other is dispatched. When this run is ended, its batches are.
        """
        self._todo = {spec.digest: spec for spec in specs}
        for spec in specs:
            self._lake.put_spec(spec)
        stopping = Stopping()
        with get_client(sync_client=True) as client, owned(stopping):
            try:
                while not self._joined or self._under_way or self._chunks:
                    stopping.check()
                    self._step(client)
            except BaseException as error:
                if not isinstance(error, Exception | Abort):  # it is cancelled, or Ctrl-C was pressed
                    self._cancel_all(client)
                raise
        if self._errors:
            raise next((e for e in self._errors if isinstance(e, TeacherError | BudgetError)), self._errors[0])

    def _join(self, client: SyncPrefectClient) -> None:
        """Batches that are under way already are waited for; what they do not work on is cut into new ones."""
        wanted = FlowRunFilter(state=_in(_ALIVE), tags=FlowRunFilterTags(all_=self._tags))
        taken: set[str] = set()
        for run in client.read_flow_runs(flow_filter=_FLOW, flow_run_filter=wanted, limit=200):
            names = [PurePosixPath(str(key)).stem for key in run.parameters.get("shards", [])]
            mine = [self._todo[name] for name in names if name in self._todo and name not in taken]
            if mine:
                taken.update(spec.digest for spec in mine)
                self._under_way[run.id] = _Batch(mine, time.monotonic())
                self._log.info("%s: %s is working on %d of the shards", self._stage, run.name, len(mine))
        left = [spec for name, spec in self._todo.items() if name not in taken]
        size = self._work.batch_shards
        self._chunks = [(uuid4().hex, left[start : start + size]) for start in range(0, len(left), size)]
        self._joined = True

    def _step(self, client: SyncPrefectClient) -> None:
        """One look at everything. While Prefect's server does not answer the batches go on, and we look again."""
        try:
            if not self._joined:
                self._join(client)
            while self._chunks and len(self._under_way) < self._work.batches:
                self._send(*self._chunks[0])
                self._chunks.pop(0)
            self._look(client)
            if waiting := self._nobodys(client):
                self._ourselves(waiting)
        except httpx.HTTPError as error:
            if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:
                raise
            self._log.warning("%s: Prefect's server does not answer (%s)", self._stage, type(error).__name__)
        self._count()
        self._tell()
        if self._under_way:
            time.sleep(_POLL_SECONDS)

    def _send(self, key: str, specs: list[Spec]) -> None:
        """A batch run for these shards, a part of this run as Prefect's pages show it."""
        options = self._terms.options
        parameters = {
            "options": options.model_dump(mode="json", exclude_none=True),
            "stage": self._stage,
            "shards": [f"specs/{spec.stage}/{spec.digest}.json" for spec in specs],
            "judge": self._terms.judge,
        }
        try:
            run = run_deployment(
                self._work.dispatch, parameters=parameters, timeout=0, tags=self._tags, idempotency_key=key,
                flow_run_name=_name(self._stage, specs),
            )  # fmt: skip
        except ObjectNotFound:
            raise UsageError(
                f"There is no deployment {self._work.dispatch!r}, as work.dispatch names it: run "
                "`python -m deployments.bootstrap`, or leave the setting empty."
            ) from None
        name = cast(FlowRun, run).id  # no coroutine: there is no event loop here
        self._under_way[name] = _Batch(specs, time.monotonic())
        self._ours.add(name)

    def _look(self, client: SyncPrefectClient) -> None:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=list(self._under_way)))
        runs = {run.id: run for run in client.read_flow_runs(flow_run_filter=wanted, limit=200)}
        for name, batch in list(self._under_way.items()):
            run = runs.get(name)  # none: somebody removed it
            if run is None or run.state is None or run.state.is_final():
                del self._under_way[name]
                self._over(batch, run)
            elif run.state.id != batch.state:
                batch.state, batch.since = run.state.id, time.monotonic()
            elif run.state.type in _SILENT and time.monotonic() > batch.since + _SILENT_SECONDS:
                # Its process ended before it could say so: a server that was away at that moment, say, or it was taken
                # back just as it began. The next look finds it over; should it begin after all, the server ends it.
                client.set_flow_run_state(name, _SILENT[run.state.type](), force=True)

    def _over(self, batch: _Batch, run: FlowRun | None) -> None:
        """A batch is over: what is left of it is dispatched again, or given up."""
        left = self._left(batch)
        state = run.state if run else None
        if not left:
            return
        if state is not None and state.is_failed():
            error = _error(state)
            self._hopeless |= isinstance(error, TeacherError | BudgetError)
            self._errors.append(error)
        else:
            self._deaths.update(spec.digest for spec in left)
            if max(self._deaths[spec.digest] for spec in left) > self._work.retries:
                what = f"{self._stage} {_name(self._stage, left)}"
                self._errors.append(
                    ToolbenchError(f"{what} was given to {self._work.retries + 1} workers and none finished it.")
                )
            elif not self._hopeless:
                self._log.warning("%s ended as %s: dispatched again", run and run.name, state and state.name)
                self._chunks.append((uuid4().hex, left))
        if self._hopeless:
            self._chunks.clear()

    def _left(self, batch: _Batch) -> list[Spec]:
        return [spec for spec in batch.specs if self._lake.receipt(spec.digest) is None]

    def _nobodys(self, client: SyncPrefectClient) -> list[Spec]:
        """The shards of a batch that nobody has taken for too long; it is taken back. Empty if there is none.

        The server decides: a run that a worker has taken meanwhile is ended by that worker, or ends by itself, and
        comes again as a batch that is over.
        """
        patience = time.monotonic() - self._work.batch_patience
        for name in [name for name, batch in self._under_way.items() if batch.seen <= patience]:
            run = client.read_flow_run(name)
            if run.state is None or run.state.type != StateType.SCHEDULED:
                continue
            wanted: State[object] = Cancelling(message="Nobody took it: its shards are worked on by who waits for it.")
            told = client.set_flow_run_state(name, wanted)
            if told.state is not None and told.state.type == StateType.CANCELLED:
                batch = self._under_way.pop(name)
                self._log.info("%s: no worker took %s, its shards are worked on here", self._stage, run.name)
                return [] if self._hopeless else self._left(batch)
        return []

    def _count(self) -> None:
        """Progress, by the receipts."""
        now = time.monotonic()
        if now < self._next_look:
            return
        there = {PurePosixPath(key).stem for key, _ in self._lake.store.list("receipts")}
        done = sum(spec.size for name, spec in self._todo.items() if name in there)
        if done > self._counter.done:
            self._counter.step(done - self._counter.done)
        taken = time.monotonic() - now
        self._next_look = now + max(_LIST_SECONDS, 10 * taken)

    def _cancel_all(self, client: SyncPrefectClient) -> None:
        """This run is ended: so are its batches, each by its worker, which lets it write its journals."""
        for name in self._ours & set(self._under_way):
            try:
                client.set_flow_run_state(name, Cancelling(message="The run that waits for it was ended."))
            except Exception as error:
                self._log.warning("the batch %s could not be cancelled: %s", name, error)


_FLOW = FlowFilter(name=FlowFilterName(any_=[FLOW]))


def _in(types: list[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=types))


def _name(stage: str, specs: Sequence[Spec]) -> str:
    """As in `solutions I2 Weather 17/40 and 19 more`."""
    return f"{stage} {specs[0].label}" + (f" and {len(specs) - 1} more" if len(specs) > 1 else "")


def _error(state: State[object]) -> ToolbenchError:
    """What a batch failed with, read from its state's message: `…: TeacherError: the sentence`."""
    text = state.message or "a batch failed"
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, ToolbenchError) and f": {kind.__name__}: " in text:
            return kind(text.partition(f": {kind.__name__}: ")[2])
    return ToolbenchError(f"A batch of shards failed: {text}")
