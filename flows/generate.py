"""generate-instructions: sample combinations of APIs and have the teacher write instructions for them."""

from prefect import flow

from flows.parameters import Options
from flows.stage import Done, Threads, carry_out, finish, run_shards
from tasks.generate import generate_shard
from toolbench import datasets, solutions, tooleval
from toolbench.errors import UsageError
from toolbench.instructions import STAGE, TABLES, plan
from toolbench.lake import Draft, Lake, Partition
from toolbench.settings import Settings

NAME = "generate-instructions"


@flow(name=NAME, task_runner=Threads)
def generate_instructions(options: Options, draft: str | None = None, collections: bool = True) -> Done:
    """Write instructions. `collections`: for combinations across categories (I3) as well."""
    return carry_out(NAME, options, draft, lambda lake, so_far, settings: generate(lake, so_far, settings, collections))


def generate(lake: Lake, draft: Draft, settings: Settings, collections: bool = True) -> Draft:
    """The stage itself, for the categories that the draft is about, or all that the lake has."""
    base = lake.snapshot()
    known = sorted({p["category"] for p in draft.partitions("apis", base) if "source" in p})
    wanted = list(settings.catalogue.categories) or known
    if missing := sorted(set(wanted) - set(known)):
        raise UsageError(f"The lake {lake.uri} has no APIs of category {missing[0]!r}; it has {', '.join(known)}.")
    specs = plan(lake, draft.view(base), settings, categories=wanted, collections=collections)
    outcome = run_shards(lake, generate_shard, specs, settings, STAGE)
    planned = [spec.partition for spec in specs]

    def stale(partition: Partition) -> bool:
        """It was asked for once, and this run would have made it anew if it were still asked for."""
        if partition in planned or partition.get("group") not in settings.instructions.groups:
            return False
        if partition["group"] == "I3":
            return collections and "collection" in partition and not settings.catalogue.categories
        return partition.get("category") in wanted

    everything = (*TABLES, *solutions.TABLES, *tooleval.TABLES, *datasets.TABLES)
    for table in (*everything, "rejects"):
        for entry in base.entries(table):
            if stale({k: v for k, v in entry.partition.items() if k != "stage"}):
                draft.put(table, entry.partition, [])
    return finish(draft, outcome, flow=NAME, main="instructions", tables=TABLES, model=settings.teacher.model)
