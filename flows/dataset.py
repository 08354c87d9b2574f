"""build-dataset: training conversations and retrieval pairs from what the lake has."""

from prefect import flow

from flows.parameters import Options, run_name
from flows.stage import Done, Threads, carry_out, finish, run_shards
from tasks.build import build_shard
from toolbench import datasets
from toolbench.lake import Draft, Lake
from toolbench.settings import Settings

NAME = "build-dataset"


@flow(name=NAME, flow_run_name=run_name, task_runner=Threads)
def build_dataset(options: Options, draft: str | None = None) -> Done:
    """Make training conversations and retrieval pairs of all solutions.

    Args:
        options: What is to be done, and where.
        draft: For flows that call this one: the change so far. Empty: publish at the end.
    """
    return carry_out(NAME, options, draft, build)


def build(lake: Lake, draft: Draft, settings: Settings) -> Draft:
    """The stage itself, for the solutions that the draft is about, or all that the lake has."""
    base = lake.snapshot()
    partitions = draft.partitions("solutions", base)
    specs = datasets.plan(draft.view(base), partitions=partitions, give_ups=settings.dataset.give_ups)
    outcome = run_shards(lake, build_shard, specs, settings, datasets.STAGE)
    return finish(draft, outcome, flow=NAME, main="conversations", tables=datasets.TABLES, model="")
