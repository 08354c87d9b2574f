"""build-dataset: training conversations and retrieval pairs from what the lake has."""

from collections.abc import Sequence

from prefect import flow

from flows.parameters import Options, run_name
from flows.stage import Done, Threads, carry_out, clear, finish, run_shards
from tasks.build import build_shard
from toolbench import datasets, tooleval
from toolbench.lake import Draft, Lake, Partition, Snapshot, emptied
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
    view, partitions = draft.view(base), draft.partitions("solutions", base)
    specs = datasets.plan(view, partitions=partitions, give_ups=settings.dataset.give_ups)
    waiting = _unjudged(lake, view, settings, draft, partitions)
    ready = [spec for spec in specs if spec.records[0] not in waiting]
    outcome = run_shards(lake, build_shard, ready, settings, datasets.STAGE)
    if len(ready) < len(specs):
        outcome.left = [spec for spec in specs if spec.records[0] in waiting]
        outcome.stopped = "The judge has not seen all answers, and what nobody has judged is not trained on."
    draft = finish(draft, outcome, flow=NAME, main="conversations", tables=datasets.TABLES, model="")
    gone = emptied(draft, "solutions")
    clear(draft, base, datasets.STAGE, datasets.TABLES, lambda partition: partition in gone)
    return draft


def _unjudged(
    lake: Lake, view: Snapshot, settings: Settings, draft: Draft, partitions: Sequence[Partition]
) -> set[str]:
    """Shards of solutions that were to be judged in this run, which ended before; most runs have none."""
    if not any(run["stage"] == tooleval.STAGE and run["left"] for run in draft.runs):
        return set()
    judged = tooleval.plan(view, settings, partitions=partitions)
    return {spec.records[0] for spec in judged if lake.receipt(spec.digest) is None}
