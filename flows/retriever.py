"""train-retriever: the API retriever, trained again when what its weights rest on has changed, else only indexed."""

import base64
import json
import time
from dataclasses import asdict

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.parameters import Options, run_name
from flows.stage import Done, carry_out
from tasks.train import choose_retriever_shard, index_retriever_shard, train_retriever_shard
from toolbench import night
from toolbench.lake import Draft, Lake, ModelEntry, Outcome, Snapshot
from toolbench.progress import Counter
from toolbench.retriever import INDEX, MODEL, NEWEST, Chosen, finished, specification
from toolbench.retriever.evaluation import plot, rows
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
    spec = specification(lake, view, settings)
    newest = view.models.get(NEWEST)
    account = night.of(lake, settings)
    if account and account.late() and (newest is None or newest.spec != spec) and finished(lake, spec) is None:
        counter.finish("budget used up")
        late = asdict(Outcome(STAGE, [], 0, 0.0).run(NAME, ""))
        draft.runs.append(late | {"left": 1, "stopped": account.exceeded()})
        return draft
    reused = finished(lake, spec) is not None
    if newest is not None and newest.spec == spec:
        entry, note = newest, "unchanged"
        if (index := _index(lake, view, counter)) is not None:
            draft.models[INDEX], note = index, "indexed"
    else:
        entry, note = _trained(lake, draft, view, settings, spec, counter)
    counter.finish(note)
    run = Outcome(STAGE, [], int(reused), time.monotonic() - started).run(NAME, "", json.dumps(entry.metrics))
    pairs = entry.metrics["train_pairs"]
    draft.runs.append(asdict(run) | {"shards": 1, "taken_in": pairs, "passed_on": pairs, "specs": [entry.spec]})
    return draft


def _trained(
    lake: Lake, draft: Draft, view: Snapshot, settings: Settings, spec: str, counter: Counter
) -> tuple[ModelEntry, str]:
    """Put the newest model, the one that serves and its index into the draft; the newest, and what to say of it."""
    trained = finished(lake, spec)
    entry = trained or train_retriever_shard(lake, view, settings, settings.retriever.base, counter)
    chosen = choose_retriever_shard(lake, view, settings, entry, counter)
    draft.models.update(chosen.models)
    if chosen.measured:
        _show(chosen)
    if not chosen.decision.promoted:
        get_run_logger().warning("%s", chosen.decision.sentence())
    note = "" if chosen.decision.promoted else f"{chosen.decision.previous} goes on serving"
    return chosen.models[NEWEST], note or ("unchanged" if trained else "")


def _index(lake: Lake, view: Snapshot, counter: Counter) -> ModelEntry | None:
    """The index for the model that serves, if APIs have changed since it was made."""
    if MODEL not in view.models:
        return None
    made = index_retriever_shard(lake, view, view.models[MODEL], counter).entry
    return made if made != view.models.get(INDEX) else None


def _show(chosen: Chosen) -> None:
    """The figures as a table and as bars on the run's page."""
    said = chosen.decision.sentence()
    create_table_artifact(table=rows(chosen.measured), key="retriever-ndcg", description=f"Held-out queries. {said}")
    picture = base64.b64encode(plot(chosen.measured, form="png")).decode()
    create_markdown_artifact(
        f"{said}\n\n![NDCG@5](data:image/png;base64,{picture})", key="retriever-plot", description="NDCG@5 by group"
    )
