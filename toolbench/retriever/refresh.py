"""The retriever of a lake: trained again when its pairs or its corpus have changed, else the one that is there."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from toolbench.digests import digest
from toolbench.documents import document
from toolbench.errors import LakeError
from toolbench.lake import Lake, ModelEntry, Snapshot
from toolbench.records import Api, RetrievalPair
from toolbench.retriever.config import RetrieverConfig
from toolbench.retriever.leakage import held_out, without_held_out
from toolbench.settings import Settings

MODEL = "retriever"
VERSION = 2
_NOT_FIGURES = ("metrics_before", "metrics_after", "losses", "scores")


def specification(view: Snapshot, settings: Settings) -> str:
    """The digest of everything that decides the retriever of a snapshot: pairs, APIs, configuration."""
    files = [e.sha256 for table in ("retrieval_pairs", "apis") for e in view.entries(table)]
    return digest([VERSION, files, config_of(settings).model_dump(mode="json")])


def config_of(settings: Settings) -> RetrieverConfig:
    """The training configuration that settings ask for."""
    wanted = settings.retriever.model_dump(exclude_none=True)
    return RetrieverConfig.preset(wanted.pop("preset"), **wanted, seed=settings.seed)


def finished(lake: Lake, spec: str, name: str = MODEL) -> ModelEntry | None:
    """The model (or whatever else has this `name`) of a specification, if it was made and written before."""
    key = f"models/{name}/{spec}.json"
    try:
        return ModelEntry.model_validate_json(lake.store.read(key))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LakeError(f"{lake.store.url(key)} is damaged; remove it and run again.") from error


def train_in_lake(
    lake: Lake, view: Snapshot, settings: Settings, progress: Callable[[str, int, int], None] | None = None
) -> ModelEntry:
    """Train on the retrieval pairs of `view` over all its APIs, and put the model into the lake.

    Instructions that came with a file may be on tools that the lake's own are on, too: training pairs on what these
    hold out are left out, and counted.

    Raises ToolbenchError as `toolbench.retriever.train` does.
    """
    from toolbench.retriever.train import train

    spec = specification(view, settings)
    pairs = list(lake.rows(view, RetrievalPair))
    measured = [p for p in pairs if p.split != "train"]
    kept, left_out = without_held_out([p for p in pairs if p.split == "train"], held_out(measured))
    corpus = {api.id: document(api) for api in lake.rows(view, Api)}
    with tempfile.TemporaryDirectory() as folder:
        result = train(kept + measured, corpus, config_of(settings), Path(folder), progress)
        figures = {k: v for k, v in asdict(result).items() if k not in _NOT_FIGURES}
        figures |= {"before": result.metrics_before, "after": result.metrics_after, "left_out": left_out["pairs"]}
        entry = lake.put_model(MODEL, spec, Path(folder), figures)
    # Written last: its presence means that every file of the model is there.
    lake.store.write(f"models/{MODEL}/{spec}.json", json.dumps(entry.model_dump()).encode())
    return entry
