"""Read a catalogue of APIs into the lake."""

from prefect import task
from prefect.tasks import exponential_backoff

from tasks.shard import may_pass
from toolbench.catalogue import collect
from toolbench.lake import Lake, Receipt
from toolbench.settings import Settings


@task(
    name="collect",
    task_run_name="collect {source}",
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=may_pass,
)
def collect_catalogue(lake: Lake, settings: Settings, source: str, category: str) -> tuple[list[Receipt], int]:
    """One receipt a category, and how many of them were there already; `source` is for the run's name."""
    return collect(lake, settings, category)
