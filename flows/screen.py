"""screen-apis: call every API and decide by rules which are fit to be used."""

from prefect import flow

from flows.parameters import Options, run_name
from flows.stage import Done, Threads, carry_out, clear, finish, run_shards
from tasks.screen import screen_shard
from toolbench.errors import UsageError
from toolbench.lake import Draft, Lake
from toolbench.screening import STAGE, TABLES, plan, tonight
from toolbench.settings import Settings

NAME = "screen-apis"


@flow(name=NAME, flow_run_name=run_name, task_runner=Threads)
def screen_apis(options: Options, draft: str | None = None, night: str = "") -> Done:
    """Give every API a verdict; retire those that failed too many nights, revive those that work again.

    Args:
        options: What is to be done, and where.
        draft: For flows that call this one: the change so far. Empty: publish at the end.
        night: The night it counts as, such as 2025-06-21; the same night is counted once. Empty: today (UTC).
    """
    return carry_out(NAME, options, draft, lambda lake, so_far, settings: screen(lake, so_far, settings, night))


def screen(lake: Lake, draft: Draft, settings: Settings, night: str = "") -> Draft:
    """The stage itself, for all APIs there are; what rested on APIs that are gone leaves the lake."""
    base = lake.snapshot()
    view = draft.view(base)
    held = [entry.partition for entry in view.entries("apis") if "source" in entry.partition]
    if not held:
        raise UsageError(f"The lake {lake.uri} has no APIs yet: run collect-apis first, or `toolbench refresh`.")
    known = sorted({partition["category"] for partition in held})
    if missing := sorted(set(settings.catalogue.categories) - set(known)):
        raise UsageError(f"The lake {lake.uri} has no APIs of category {missing[0]!r}; it has {', '.join(known)}.")
    outcome = run_shards(lake, screen_shard, plan(lake, view, settings, night or tonight()), settings, STAGE)
    draft = finish(draft, outcome, flow=NAME, main="verdicts", tables=TABLES, model="")
    clear(draft, base, STAGE, TABLES, lambda partition: partition not in held)
    return draft
