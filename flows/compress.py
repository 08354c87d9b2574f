"""compress-responses: have the teacher name the keys of long API responses that matter."""

from prefect import flow

from flows.parameters import Options, run_name
from flows.stage import Done, Threads, carry_out, categories, clear, finish, run_shards
from tasks.compress import compress_shard
from toolbench.compression import STAGE, TABLES, plan
from toolbench.lake import Draft, Lake, Partition
from toolbench.settings import Settings

NAME = "compress-responses"


@flow(name=NAME, flow_run_name=run_name, task_runner=Threads)
def compress_responses(options: Options, draft: str | None = None) -> Done:
    """Name the keys that matter, for every API with responses that are too long for a model.

    Args:
        options: What is to be done, and where.
        draft: For flows that call this one: the change so far. Empty: publish at the end.
    """
    return carry_out(NAME, options, draft, compress)


def compress(lake: Lake, draft: Draft, settings: Settings) -> Draft:
    """The stage itself, for the categories that the draft is about, or all that the lake has.

    If settings truncate responses nothing is asked, and the keys that the lake has stay for another time.
    """
    base = lake.snapshot()
    wanted = categories(lake, draft, settings)
    view = draft.view(base)
    specs = plan(lake, view, settings, categories=wanted)
    outcome = run_shards(lake, compress_shard, specs, settings, STAGE, teacher=True)
    draft = finish(draft, outcome, flow=NAME, main="response_keys", tables=TABLES, model=settings.teacher.model)
    if settings.compression.method == "keys":
        planned = [spec.partition for spec in specs]
        there = [entry.partition for entry in view.entries("apis")]

        def stale(partition: Partition) -> bool:
            """Its APIs are gone, or none of them has long responses any more."""
            return partition not in planned and (partition["category"] in wanted or partition not in there)

        clear(draft, base, STAGE, TABLES, stale)
    return draft
