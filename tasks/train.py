"""Train the retriever: one task, since one model is one piece of work."""

from prefect import task
from prefect.tasks import exponential_backoff

from tasks.shard import may_pass
from toolbench.lake import Lake, ModelEntry, Snapshot
from toolbench.progress import Counter
from toolbench.retriever import train_in_lake
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

    def progress(_: str, done: int, total: int) -> None:
        counter.done, counter.total = done, total
        counter.report()

    return train_in_lake(lake, view, settings, progress)
