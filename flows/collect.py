"""collect-apis: read a catalogue into the lake."""

import time

from prefect import flow

from flows.parameters import Options, run_name
from flows.stage import Done, carry_out, finish
from tasks.collect import collect_catalogue
from toolbench.catalogue import STAGE, TABLES, settle, source_label
from toolbench.lake import Draft, Lake, Outcome
from toolbench.progress import Counter
from toolbench.settings import Settings

NAME = "collect-apis"


@flow(name=NAME, flow_run_name=run_name)
def collect_apis(options: Options, draft: str | None = None, category: str = "") -> Done:
    """Read the catalogue: tools and APIs, each category a shard.

    Args:
        options: What is to be done, and where.
        draft: For flows that call this one: the change so far. Empty: publish at the end.
        category: The category of APIs whose source names none.
    """
    return carry_out(NAME, options, draft, lambda lake, so_far, settings: collect(lake, so_far, settings, category))


def collect(lake: Lake, draft: Draft, settings: Settings, category: str = "") -> Draft:
    """The stage itself, with what changed since the last time."""
    started = time.monotonic()
    counter = Counter(STAGE, 0)
    label = source_label(settings)
    receipts, reused = collect_catalogue(lake, settings, label, category)
    changed = settle(lake, draft, settings, receipts)
    outcome = Outcome(STAGE, receipts, reused, time.monotonic() - started, changed.counts)
    counter.total = sum(r.taken_in for r in receipts)
    counter.step(counter.total)
    counter.finish("unchanged" if reused == len(receipts) else "")
    return finish(draft, outcome, flow=NAME, main="apis", tables=TABLES, model="")
