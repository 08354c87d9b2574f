"""generate-instructions: sample combinations of APIs and have the teacher write instructions for them."""

from prefect import flow

from flows.parameters import Options, run_name
from flows.stage import Done, Threads, carry_out, categories, clear, finish, run_shards
from tasks.generate import generate_shard
from toolbench import datasets, solutions, tooleval
from toolbench.instructions import STAGE, TABLES, compare, plan
from toolbench.lake import Draft, Lake, Partition
from toolbench.records import Api
from toolbench.settings import Settings

NAME = "generate-instructions"
_LATER = (
    (solutions.STAGE, solutions.TABLES),
    (tooleval.STAGE, tooleval.TABLES),
    (datasets.STAGE, datasets.TABLES),
)
"""The stages that rest on instructions."""


@flow(name=NAME, flow_run_name=run_name, task_runner=Threads)
def generate_instructions(options: Options, draft: str | None = None, collections: bool = True) -> Done:
    """Sample combinations of APIs and write instructions for them.

    Args:
        options: What is to be done, and where.
        draft: For flows that call this one: the change so far. Empty: publish at the end.
        collections: For combinations across categories (I3) as well.
    """
    return carry_out(NAME, options, draft, lambda lake, so_far, settings: generate(lake, so_far, settings, collections))


def generate(lake: Lake, draft: Draft, settings: Settings, collections: bool = True) -> Draft:
    """The stage itself, for the categories that the draft is about, or all that the lake has."""
    base = lake.snapshot()
    view = draft.view(base)
    wanted = categories(lake, draft, settings)
    specs = plan(lake, view, settings, categories=wanted, collections=collections, base=base)
    outcome = run_shards(lake, generate_shard, specs, settings, STAGE, teacher=True)
    outcome.receipts = compare(lake, base, settings, specs, outcome.receipts)
    draft = finish(draft, outcome, flow=NAME, main="instructions", tables=TABLES, model=settings.teacher.model)

    planned = [spec.partition for spec in specs]
    others = [e for e in view.entries("apis") if "source" in e.partition and e.partition["category"] not in wanted]
    other_categories = {e.partition["category"] for e in others}
    other_collections = {name for api in lake.read(others, Api) for name in api.collections}

    def stale(partition: Partition) -> bool:
        """It was asked for once, and is no longer; what this run was not about is left alone."""
        if partition in planned or partition.get("group") not in settings.instructions.groups:
            return False
        everywhere = not settings.catalogue.categories
        if partition["group"] == "I3":
            return collections and everywhere and partition.get("collection") not in other_collections
        category = partition.get("category")
        return category in wanted or (everywhere and category not in other_categories)

    clear(draft, base, STAGE, TABLES, stale)
    written = draft.partitions("instructions", base)
    for stage, tables in _LATER:
        clear(draft, base, stage, tables, lambda p: stale(p) or (p in planned and p not in written))
    return draft
