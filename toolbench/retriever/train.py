"""Train the retriever on the training pairs; measure it before and after on the held-out queries."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from toolbench.encoder import Encoder, Progress, quiet
from toolbench.errors import ToolbenchError
from toolbench.prompts import load as load_template
from toolbench.records import RetrievalPair
from toolbench.retriever.batching import plan
from toolbench.retriever.config import RetrieverConfig
from toolbench.retriever.index import Index
from toolbench.retriever.metrics import evaluate

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
) -> TrainResult:
    """Fine-tune the base on the pairs of split `train`; write model, index, `metrics.json` and model card to `folder`.

    `corpus` maps API ids to documents: what is searched, before and after, for the queries of all other splits. The
    loss is in-batch softmax over cosines (multiple negatives ranking), over batches without false negatives (see
    `plan`). The model lies in `folder` itself, its index over the corpus in `folder/index`; `metrics.json` is written
    last. On one CPU, equal inputs give equal files, times apart.

    Raises ToolbenchError if there is nothing to train on, a held-out query is also trained on, a relevant API is not in
    the corpus, a package or the base is missing, or `folder` cannot be written.
    """
    started = time.monotonic()
    training = [p for p in pairs if p.split == "train"]
    held_out = _held_out([p for p in pairs if p.split != "train"])
    _check(training, held_out, corpus)
    batches = plan(training, config.batch_size, config.epochs, config.seed)
    if not batches:
        raise ToolbenchError(
            f"The {len(training)} training pairs leave nothing to tell apart: at least two queries with different "
            "relevant APIs are needed, so generate more instructions."
        )
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
    encoder = Encoder.load(config.base, config.max_tokens)
    before = _measure(encoder, _index(encoder, corpus, progress), held_out, config.top_k) if held_out.ids else {}
    losses = _fit(encoder, training, batches, config, folder, progress)
    index = _index(encoder, corpus, progress)
    result = TrainResult(
        metrics_before=before,
        metrics_after=_measure(encoder, index, held_out, config.top_k),
        train_pairs=len(training),
        queries=len(held_out.ids),
        corpus_size=len(corpus),
        seconds=time.monotonic() - started,
        losses=losses,
    )
    _write(folder, encoder, index, config, result)
    return result


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


def _check(training: Sequence[RetrievalPair], held_out: _HeldOut, corpus: Mapping[str, str]) -> None:
    if not training:
        raise ToolbenchError("No retrieval pair belongs to the split `train`: generate instructions for it first.")
    trained = {_normalised(p.query) for p in training}
    for query_id, text in zip(held_out.ids, held_out.texts, strict=True):
        if _normalised(text) in trained:
            raise ToolbenchError(
                f"The held-out query {query_id} is also a training query ({text[:80]!r}): remove it from either side, "
                "since figures measured on it would mean nothing."
            )
        missing = sorted(held_out.relevant[query_id] - corpus.keys())
        if missing:
            raise ToolbenchError(
                f"The corpus lacks {missing[0]}, an API relevant to the held-out query {query_id}: build the pairs and "
                "the corpus from the same catalogue."
            )


def _normalised(text: str) -> str:
    return " ".join(text.casefold().split())


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


def _fit(
    encoder: Encoder,
    training: Sequence[RetrievalPair],
    batches: list[list[int]],
    config: RetrieverConfig,
    folder: Path,
    progress: Progress | None,
) -> list[float]:
    """Train the encoder in place; the loss of each step."""
    from datasets.arrow_dataset import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import PrinterCallback

    class Trainer(SentenceTransformerTrainer):
        def get_batch_sampler(self, *_: Any, **__: Any) -> Any:
            return batches

        def add_model_card_callback(self, *_: Any) -> None:
            """We write our own card; theirs would look at every text for its statistics."""

    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        # The trainer's one epoch is the whole plan: our epochs may differ in batches, and its schedule needs the sum.
        num_train_epochs=1,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        seed=config.seed,
        save_strategy="no",
        logging_strategy="steps",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    dataset = Dataset.from_dict({"query": [p.query for p in training], "document": [p.document for p in training]})
    with quiet():
        trainer = Trainer(
            model=encoder.model,
            args=arguments,
            train_dataset=dataset,
            loss=MultipleNegativesRankingLoss(encoder.model),
            callbacks=[_reporting(progress)] if progress else None,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    encoder.model.eval()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _reporting(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Reporting(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress("train", state.global_step, state.max_steps)

    return Reporting()


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
