"""Train the retriever on the training pairs; measure it before and after on the held-out queries."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from toolbench.digests import digest
from toolbench.documents import TEMPLATE
from toolbench.encoder import Encoder, Progress
from toolbench.errors import ToolbenchError
from toolbench.prompts import load as load_template
from toolbench.records import RetrievalPair
from toolbench.retriever import leakage
from toolbench.retriever.batching import plan
from toolbench.retriever.checkpoints import claim, first_process
from toolbench.retriever.config import RetrieverConfig
from toolbench.retriever.index import Index
from toolbench.retriever.leakage import HeldOut
from toolbench.retriever.metrics import evaluate
from toolbench.retriever.mining import Miner
from toolbench.retriever.validation import Validation, drawn, hold_back

_VERSION = 1
"""Raise it where the same inputs come to give other weights."""

Metrics = dict[str, Any]
"""`{"all": figures, "group": {"I1": figures, …}, "split": {"tool": figures, …}}`, `figures` as `evaluate` gives them;
empty if no query is held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a training run made and how good it is; `metrics.json` holds the same."""

    metrics_before: Metrics
    """The base, untrained, on the held-out queries."""
    metrics_after: Metrics
    train_pairs: int
    queries: int
    """Held-out queries; 0: nothing was held out, so nothing was measured."""
    corpus_size: int
    seconds: float
    losses: list[float] = field(default_factory=list)
    """The training loss of each step."""
    scores: dict[int, float] = field(default_factory=dict)
    """NDCG@5 of the validation queries, by step."""
    best_step: int | None = None
    """The step whose weights were kept; None: the last one's."""
    document_template: str = ""
    """The digest of the template of documents: the encoder knows documents of that form."""


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """The held-out queries: ids and texts in one order, relevant API ids and slice names by query id."""

    ids: list[str]
    texts: list[str]
    relevant: dict[str, set[str]]
    slices: dict[tuple[str, str], list[str]]


def train(
    pairs: Sequence[RetrievalPair],
    corpus: Mapping[str, str],
    config: RetrieverConfig,
    folder: Path,
    progress: Progress | None = None,
    *,
    catalogue: Mapping[str, str] | None = None,
    checkpoints: Path | None = None,
) -> TrainResult:
    """Fine-tune the base on the pairs of split `train`; write model, index, `metrics.json` and model card to `folder`.

    `corpus` maps API ids to documents: what is searched, before and after, for the queries of all other splits.
    `catalogue`, where given, is what hard negatives are taken from instead, less what is held out. The loss is in-batch
    softmax over cosines (multiple negatives ranking) without false negatives (see `plan`, `ranking`). The model lies in
    `folder` itself, its index over the corpus in `folder/index`; `metrics.json` is written last.

    A run that was killed goes on from the last checkpoint in `checkpoints`, if that was named, and ends with the
    weights it would have had. On one CPU, equal inputs give equal files, times apart. Of several processes that
    accelerate started, the first writes.

    Raises ToolbenchError if there is nothing to train on, a training pair rests on a held-out query, tool or category,
    a relevant API is not in the corpus, a package or the base is missing, `folder` cannot be written, or `checkpoints`
    are another run's.
    """
    started = time.monotonic()
    training = [p for p in pairs if p.split == "train"]
    held_out = _held_out([p for p in pairs if p.split != "train"])
    held = leakage.held_out(pairs)
    _check(training, held_out, held, corpus)
    training, validation = hold_back(training, config.validation, config.seed)
    batches = plan(training, config.batch_size, config.epochs, config.seed, together=config.together)
    if not batches:
        raise ToolbenchError(
            f"The {len(training)} training pairs leave nothing to tell apart: at least two queries with different "
            "relevant APIs are needed, so generate more instructions."
        )
    place = checkpoints or folder / "checkpoints"
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if checkpoints is None and first_process():  # nobody asked for these to be gone on with
            shutil.rmtree(place, ignore_errors=True)
    with _written(place):
        claim(place, _identity(training, validation, corpus, catalogue, config))
    encoder = Encoder.load(config.base, config.max_tokens)
    before = _measure(encoder, _index(encoder, corpus, progress), held_out, config.top_k) if held_out.ids else {}
    known = {i: text for i, text in (corpus if catalogue is None else catalogue).items() if not held.owner(i)}
    documents = known | {p.api_id: p.document for p in (*training, *validation)}
    sample = drawn(documents, [*training, *validation], config.searched, config.seed)
    from toolbench.retriever.fitting import fit

    miner = Miner(training, batches, documents, sample, config, place)
    score = Validation(validation, sample) if validation else None
    fitted = fit(encoder, training, batches, miner, config, place, score, progress)
    index = _index(encoder, corpus, progress)
    result = TrainResult(
        metrics_before=before,
        metrics_after=_measure(encoder, index, held_out, config.top_k),
        train_pairs=len(training),
        queries=len(held_out.ids),
        corpus_size=len(corpus),
        seconds=time.monotonic() - started,
        losses=fitted.losses,
        scores=fitted.scores,
        best_step=fitted.best_step,
        document_template=TEMPLATE.digest,
    )
    if first_process():
        shutil.rmtree(place, ignore_errors=True)
        _write(folder, encoder, index, config, result)
    return result


def _identity(
    training: Sequence[RetrievalPair],
    validation: Sequence[RetrievalPair],
    corpus: Mapping[str, str],
    catalogue: Mapping[str, str] | None,
    config: RetrieverConfig,
) -> str:
    """The digest of everything that decides the weights: checkpoints of another run cannot be gone on with."""
    said = [[p.query, p.api_id, p.document] for p in (*training, *validation)]
    return digest([_VERSION, config.model_dump(mode="json"), said, corpus if catalogue is None else catalogue])


def _held_out(pairs: Sequence[RetrievalPair]) -> _HeldOut:
    texts: dict[str, str] = {}
    relevant: dict[str, set[str]] = {}
    slices: dict[tuple[str, str], list[str]] = {}
    for pair in sorted(pairs, key=lambda p: (p.query_id, p.api_id)):
        if pair.query_id not in texts:
            texts[pair.query_id] = pair.query
            slices.setdefault(("group", pair.group), []).append(pair.query_id)
            slices.setdefault(("split", pair.split), []).append(pair.query_id)
        relevant.setdefault(pair.query_id, set()).add(pair.api_id)
    return _HeldOut(list(texts), list(texts.values()), relevant, slices)


def _check(training: Sequence[RetrievalPair], held_out: _HeldOut, held: HeldOut, corpus: Mapping[str, str]) -> None:
    if not training:
        raise ToolbenchError("No retrieval pair belongs to the split `train`: generate instructions for it first.")
    for pair in training:
        if fault := held.fault(pair):
            raise ToolbenchError(
                f"The training pair {pair.id} cannot be trained on ({pair.query[:80]!r}): {fault}, and figures "
                "measured on it would mean nothing; remove it from either side."
            )
    for query_id in held_out.ids:
        missing = sorted(held_out.relevant[query_id] - corpus.keys())
        if missing:
            raise ToolbenchError(
                f"The corpus lacks {missing[0]}, an API relevant to the held-out query {query_id}: build the pairs and "
                "the corpus from the same catalogue."
            )


def _index(encoder: Encoder, corpus: Mapping[str, str], progress: Progress | None) -> Index:
    return Index(list(corpus), encoder.encode(list(corpus.values()), progress))


def _measure(encoder: Encoder, index: Index, held_out: _HeldOut, ks: Sequence[int]) -> Metrics:
    if not held_out.ids:
        return {}
    ranked, _ = index.search(encoder.encode(held_out.texts), max(ks))
    rankings = dict(zip(held_out.ids, ranked, strict=True))
    metrics: Metrics = {"all": evaluate(rankings, held_out.relevant, ks), "group": {}, "split": {}}
    for (kind, name), ids in sorted(held_out.slices.items()):
        metrics[kind][name] = evaluate(rankings, {i: held_out.relevant[i] for i in ids}, ks)
    return metrics


def _write(folder: Path, encoder: Encoder, index: Index, config: RetrieverConfig, result: TrainResult) -> None:
    card = load_template("toolbench.retriever", "card").render(config=config, result=result)
    figures = json.dumps({"config": config.model_dump(mode="json"), **asdict(result)}, indent=2) + "\n"
    with _written(folder):
        encoder.save(folder)
        index.save(folder / "index")
        (folder / "README.md").write_text(card + "\n", encoding="utf-8")
        (folder / "metrics.json").write_text(figures, encoding="utf-8")


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ToolbenchError(f"The retriever cannot be written to {folder} ({error}): name another folder.") from error
