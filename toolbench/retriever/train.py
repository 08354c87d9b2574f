"""Train the retriever on the training pairs; measure it before and after on the held-out queries."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from toolbench.digests import digest
from toolbench.documents import TEMPLATE
from toolbench.encoder import Encoder, Progress
from toolbench.errors import ToolbenchError
from toolbench.prompts import load as load_template
from toolbench.records import RetrievalPair
from toolbench.retriever.batching import plan
from toolbench.retriever.checkpoints import claim, first_process
from toolbench.retriever.config import RetrieverConfig
from toolbench.retriever.index import Index
from toolbench.retriever.leakage import HeldOut, held_out
from toolbench.retriever.measuring import HeldOutQueries, Metrics
from toolbench.retriever.mining import Miner
from toolbench.retriever.validation import Validation, drawn, hold_back

_VERSION = 1
"""Raise it where the same inputs come to give other weights."""


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
    measured, held = HeldOutQueries.of(pairs), held_out(pairs)
    training = [p for p in pairs if p.split == "train"]
    _check(training, measured, held, corpus)
    training, validation = hold_back(training, config.validation, config.seed)
    batches = plan(training, config.batch_size, config.epochs, config.seed, together=config.together)
    if not batches:
        raise ToolbenchError(
            f"The {len(training)} training pairs leave nothing to tell apart: at least two queries with different "
            "relevant APIs are needed, so generate more instructions."
        )
    offered = corpus if catalogue is None else catalogue
    place = _place(folder, checkpoints, _identity(training, validation, offered, config))
    encoder = Encoder.load(config.base, config.max_tokens)
    # Without held-out queries nothing is measured, and the corpus need not be encoded twice.
    before = measured.measure(encoder, _index(encoder, corpus, progress), config.top_k) if measured.ids else {}
    documents = {i: text for i, text in offered.items() if not held.owner(i)}
    documents |= {p.api_id: p.document for p in (*training, *validation)}
    sample = drawn(documents, [*training, *validation], config.searched, config.seed)
    from toolbench.retriever.fitting import fit

    miner = Miner(training, batches, documents, sample, config, place)
    score = Validation(validation, sample) if validation else None
    fitted = fit(encoder, training, batches, miner, config, place, score, progress)
    index = _index(encoder, corpus, progress)
    result = TrainResult(
        metrics_before=before,
        metrics_after=measured.measure(encoder, index, config.top_k),
        train_pairs=len(training),
        queries=len(measured.ids),
        corpus_size=len(corpus),
        seconds=time.monotonic() - started,
        losses=fitted.losses,
        scores=fitted.scores,
        best_step=fitted.best_step,
        document_template=TEMPLATE.digest,
    )
    if first_process():
        _write(folder, encoder, index, config, result)
        shutil.rmtree(place, ignore_errors=True)
    return result


def _place(folder: Path, checkpoints: Path | None, identity: str) -> Path:
    """Where the checkpoints are. Raises ToolbenchError if it, or `folder`, cannot be written or is another run's."""
    place = checkpoints or folder / "checkpoints"
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if checkpoints is None and first_process():  # nobody asked for these to be gone on with
            shutil.rmtree(place, ignore_errors=True)
    with _written(place):
        claim(place, identity)
    return place


def _identity(
    training: Sequence[RetrievalPair],
    validation: Sequence[RetrievalPair],
    offered: Mapping[str, str],
    config: RetrieverConfig,
) -> str:
    """The digest of everything that decides the weights: checkpoints of another run cannot be gone on with."""
    said = [[p.query, p.api_id, p.document] for p in (*training, *validation)]
    return digest([_VERSION, config.model_dump(mode="json"), said, dict(offered)])


def _check(
    training: Sequence[RetrievalPair], measured: HeldOutQueries, held: HeldOut, corpus: Mapping[str, str]
) -> None:
    if not training:
        raise ToolbenchError("No retrieval pair belongs to the split `train`: generate instructions for it first.")
    for pair in training:
        if fault := held.fault(pair):
            raise ToolbenchError(
                f"The training pair {pair.id} cannot be trained on ({pair.query[:80]!r}): {fault}, and figures "
                "measured on it would mean nothing; remove it from either side."
            )
    if absent := measured.missing(corpus):
        raise ToolbenchError(
            f"The corpus lacks {absent[1]}, an API relevant to the held-out query {absent[0]}: build the pairs and the "
            "corpus from the same catalogue."
        )


def _index(encoder: Encoder, corpus: Mapping[str, str], progress: Progress | None) -> Index:
    return Index(list(corpus), encoder.encode(list(corpus.values()), progress))


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
