"""The retriever of a lake: trained again when what its weights rest on has changed, else the one that is there."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from toolbench.digests import digest
from toolbench.documents import document
from toolbench.lake import Lake, ModelEntry, Snapshot, finish_model, finished_model
from toolbench.records import Api, RetrievalPair
from toolbench.retriever.config import RetrieverConfig
from toolbench.retriever.leakage import held_out, without_held_out
from toolbench.retriever.negatives import tool_of
from toolbench.settings import Settings

MODEL = "retriever"
VERSION = 3
_NOT_FIGURES = ("metrics_before", "metrics_after", "losses", "scores")


def specification(lake: Lake, view: Snapshot, settings: Settings) -> str:
    """The digest of everything that decides a retriever's weights: training pairs, hard negatives, configuration.

    Nothing else: an API that is new, or described in other words, changes the index. It calls for another training only
    if a training query wants it or it may be drawn as a negative; and held-out queries are measured every night anyway.
    """
    config, (training, measured, _) = config_of(settings), _pairs(lake, view)
    held = held_out(measured)
    read: list[list[str]] = []
    if config.siblings or config.mined or config.validation:
        tools = {tool_of(pair.api_id) for pair in training}
        any_tool = bool(config.mined or config.validation)
        read = [
            [api.id, document(api)]
            for api in lake.rows(view, Api)
            if (any_tool or tool_of(api.id) in tools) and not held.owner(api.id)
        ]
    said = [[pair.query, pair.api_id, pair.document] for pair in training]
    return digest([VERSION, said, sorted(read), config.model_dump(mode="json")])


def config_of(settings: Settings) -> RetrieverConfig:
    """The training configuration that settings ask for."""
    wanted = settings.retriever.model_dump(exclude_none=True)
    return RetrieverConfig.preset(wanted.pop("preset"), **wanted, seed=settings.seed)


def finished(lake: Lake, spec: str, name: str = MODEL) -> ModelEntry | None:
    """The model (or whatever else has this `name`) of a specification, if it was made and written before."""
    return finished_model(lake, name, spec)


def train_in_lake(
    lake: Lake, view: Snapshot, settings: Settings, progress: Callable[[str, int, int], None] | None = None
) -> ModelEntry:
    """Train on the retrieval pairs of `view` over all its APIs, and put the model into the lake.

    Instructions that came with a file may be on tools that the lake's own are on, too: training pairs on what these
    hold out are left out, and counted.

    Raises ToolbenchError as `toolbench.retriever.train` does.
    """
    from toolbench.retriever.train import train

    spec = specification(lake, view, settings)
    kept, measured, left_out = _pairs(lake, view)
    corpus = {api.id: document(api) for api in lake.rows(view, Api)}
    with tempfile.TemporaryDirectory() as folder:
        result = train(kept + measured, corpus, config_of(settings), Path(folder), progress)
        figures = {k: v for k, v in asdict(result).items() if k not in _NOT_FIGURES}
        figures |= {
            "before": result.metrics_before,
            "after": result.metrics_after,
            "left_out": left_out,
            "corpus": digest(corpus),
        }
        entry = lake.put_model(MODEL, spec, Path(folder), figures)
    finish_model(lake, MODEL, entry)
    return entry


def _pairs(lake: Lake, view: Snapshot) -> tuple[list[RetrievalPair], list[RetrievalPair], int]:
    """The pairs to train on, those to measure with, and how many may not be trained on for these."""
    pairs = list(lake.rows(view, RetrievalPair))
    measured = [p for p in pairs if p.split != "train"]
    kept, left_out = without_held_out([p for p in pairs if p.split == "train"], held_out(measured))
    return kept, measured, left_out["pairs"]
