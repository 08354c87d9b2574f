"""train-retriever: the API retriever, trained again when its pairs or its corpus have changed."""

import json
import time
from dataclasses import asdict
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.parameters import Options, run_name
from flows.stage import Done, carry_out
from tasks.train import train_retriever_shard
from toolbench.lake import Draft, Lake, Outcome
from toolbench.progress import Counter
from toolbench.retriever import MODEL, finished, specification
from toolbench.settings import Settings

NAME = "train-retriever"
STAGE = "retriever"


@flow(name=NAME, flow_run_name=run_name)
def train_retriever(options: Options, draft: str | None = None) -> Done:
    """Train a retriever on the retrieval pairs, over all APIs of the lake.

    Args:
        options: What is to be done, and where.
        draft: For flows that call this one: the change so far. Empty: publish at the end.
    """
    return carry_out(NAME, options, draft, train)


def train(lake: Lake, draft: Draft, settings: Settings) -> Draft:
    """The stage itself. Without any retrieval pair there is nothing to train, and the draft stays as it is."""
    started = time.monotonic()
    view = draft.view(lake.snapshot())
    counter = Counter(STAGE, 0)
    if not view.rows("retrieval_pairs"):
        counter.finish("no retrieval pairs")
        return draft
    entry = finished(lake, specification(view, settings))
    reused = entry is not None
    if entry is None:
        entry = train_retriever_shard(lake, view, settings, settings.retriever.base, counter)
        create_table_artifact(table=_rows(entry.metrics), key="retriever-ndcg", description="NDCG before and after")
    draft.models[MODEL] = entry
    counter.finish("unchanged" if reused else "")
    run = Outcome(STAGE, [], int(reused), time.monotonic() - started).run(NAME, "", json.dumps(entry.metrics))
    pairs = entry.metrics["train_pairs"]
    draft.runs.append(asdict(run) | {"shards": 1, "taken_in": pairs, "passed_on": pairs, "specs": [entry.spec]})
    return draft


def _rows(metrics: dict[str, object]) -> list[dict[str, object]]:
    """One row for all held-out queries and for each group: NDCG of the base and of the trained model."""
    rows: list[dict[str, object]] = []
    for when in ("before", "after"):
        figures = metrics[when]
        if isinstance(figures, dict) and figures:
            slices = {"all": figures["all"], **figures["group"]}
            rows += [{"model": when, "slice": name, **_readable(values)} for name, values in slices.items()]
    return rows


def _readable(values: dict[str, Any]) -> dict[str, str]:
    """Means with their standard errors, `0.888 ± 0.031`; one query alone has none."""
    return {name: _figure(value) if isinstance(value, dict) else str(value) for name, value in values.items()}


def _figure(value: dict[str, float | None]) -> str:
    mean, error = value["mean"], value["se"]
    return f"{mean:.3f}" + (f" ± {error:.3f}" if error is not None else "")
