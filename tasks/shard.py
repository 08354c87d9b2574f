"""How a shard is worked on safely: retried when that may help, and never again once it is done."""

from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from pathlib import PurePosixPath
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.states import Cancelled
from prefect.tasks import exponential_backoff
from prefect.transactions import get_transaction

from tasks.limits import slots
from toolbench.concurrency import Stopping
from toolbench.errors import BudgetError, TransientError
from toolbench.lake import Lake, Receipt, Spec
from toolbench.progress import Counter
from toolbench.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

LEFT = "Left for the next run"
"""The name of the state of a shard that the budget did not cover; Prefect counts it as Cancelled."""
Work = Callable[[Lake, Spec, Settings, Callable[[], None]], Coroutine[Any, Any, Receipt]]
"""What a stage does with one shard: from its specification to its receipt, one call of the last argument a record."""


def cache_key(_: TaskRunContext, parameters: dict[str, Any]) -> str:
    """The shard's own name within its lake: the same in every run and on every machine."""
    return f"{parameters['lake'].id}-{PurePosixPath(parameters['spec']).stem}"


async def may_pass(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Only what a later try may cure is tried again: a wrong key stays wrong."""
    error = await state.aresult(raise_on_failure=False)
    return isinstance(error, TransientError | OSError)


def model_task(name: str, run_name: str = "") -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task whose work is one model, tried twice again where that may help. `run_name`: with arguments in braces."""
    return task(
        name=name,
        task_run_name=run_name or name,
        retries=2,
        retry_delay_seconds=exponential_backoff(backoff_factor=2),
        retry_condition_fn=may_pass,
    )


def shard_task(name: str, work: Work, *, teacher: bool = True) -> Task[..., Receipt]:
    """The Prefect task that works on one shard of a stage. `teacher`: the stage asks it, so that a shard leases slots.

    Its arguments are a lake, the key of a specification in it, settings, a label for the run's name, a progress
    counter, and what can end it, if anything can. Its body waits for the loop of all shards, and returns the receipt.
    Flows set `retries` by `work.retries`; from the fourth on they wait as long as the third.
    """

    @task(
        name=name,
        task_run_name=name + " {label}",
        cache_key_fn=cache_key,
        persist_result=True,
        retries=3,
        retry_delay_seconds=exponential_backoff(backoff_factor=2),
        retry_jitter_factor=0.5,
        retry_condition_fn=may_pass,
    )
    def shard(
        lake: Lake, spec: str, settings: Settings, label: str, counter: Counter, stopping: Stopping | None = None
    ) -> Receipt:
        stopping, known = stopping or Stopping(), lake.spec(spec)
        try:
            with slots(settings, known.size, stopping.check) if teacher else nullcontext(settings) as granted:
                return stopping.run(work(lake, known, granted, counter.step))
        except BudgetError as error:
            # No failure, and nothing to be remembered: the next run goes on. Who waits for it is given the error.
            if transaction := get_transaction():
                transaction.write_on_commit = False
            return Cancelled(name=LEFT, message=str(error), data=error)  # type: ignore[return-value]

    return shard
