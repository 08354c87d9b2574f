"""Train the retriever, choose which one serves, index for it: a task each, since one model is one piece of work."""

from prefect import task
from prefect.tasks import exponential_backoff

from tasks.shard import may_pass
from toolbench.encoder import Progress
from toolbench.lake import Lake, ModelEntry, Snapshot
from toolbench.progress import Counter
from toolbench.retriever import Chosen, Indexed, choose, index_in_lake, train_in_lake
from toolbench.settings import Settings


@task(
    name="train retriever",
    task_run_name="train retriever from {base}",
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=may_pass,
)
def train_retriever_shard(lake: Lake, view: Snapshot, settings: Settings, base: str, counter: Counter) -> ModelEntry:
    """The trained model's place in the lake; `base` is for the run's name."""
    return train_in_lake(lake, view, settings, _telling(counter))


@task(
    name="choose retriever",
    task_run_name="choose retriever",
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=may_pass,
)
def choose_retriever_shard(
    lake: Lake, view: Snapshot, settings: Settings, newest: ModelEntry, counter: Counter
) -> Chosen:
    """Which model serves from now on, by figures, with its index over all APIs of `view`."""
    return choose(lake, view, newest, settings, _telling(counter))


@task(
    name="index retriever",
    task_run_name="index retriever",
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=may_pass,
)
def index_retriever_shard(lake: Lake, view: Snapshot, model: ModelEntry, counter: Counter) -> Indexed:
    """The index of all APIs of `view` for a model: only what changed is encoded."""
    return index_in_lake(lake, view, model, _telling(counter))


def _telling(counter: Counter) -> Progress:
    def progress(_: str, done: int, total: int) -> None:
        counter.done, counter.total = done, total
        counter.report()

    return progress
