"""The newest model against the one that serves, and against what users would take instead."""

from dataclasses import asdict, dataclass
from typing import Any

from toolbench import promotion
from toolbench.digests import digest
from toolbench.encoder import Encoder, Progress
from toolbench.lake import Lake, ModelEntry, Snapshot
from toolbench.promotion import Decision
from toolbench.records import RetrievalPair
from toolbench.retriever.corpus import corpus_of
from toolbench.retriever.embeddings import EmbeddingCache, identity
from toolbench.retriever.evaluation import MAIN, Measured, Queries, compare, measure
from toolbench.retriever.index import Index
from toolbench.retriever.lexical import Bm25Index
from toolbench.retriever.refresh import MODEL
from toolbench.retriever.searchers import Dense, Hybrid, dense_over
from toolbench.retriever.serving import INDEX, NEWEST, index_in_lake, opened
from toolbench.settings import Settings
from toolbench.statistics import Estimate

TRAINED, PREVIOUS, ZERO_SHOT, BM25, HYBRID = "trained", "previous", "zero-shot", "bm25", "hybrid"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a snapshot is to name, and why."""

    models: dict[str, ModelEntry]
    """The model that serves, the newest one with the decision among its figures, and the index."""
    decision: Decision
    measured: dict[str, Any]
    """Model → `Measured.summary`; empty without held-out queries."""
    encoded: int
    """Documents that were encoded for the index."""


def choose(
    lake: Lake, view: Snapshot, newest: ModelEntry, settings: Settings, progress: Progress | None = None
) -> Chosen:
    """Measure the newest model against the one that serves in `view`, let the better one serve, and index for it.

    Raises LakeError if the lake cannot be read or written, ToolbenchError as `Encoder.load` does.
    """
    decision, measured = judge(lake, view, newest, settings, progress)
    said = {"sentence": decision.sentence(), **asdict(decision)}
    recorded = newest.model_copy(update={"metrics": {**newest.metrics, "measured": measured, "decision": said}})
    serves = newest if decision.serves == newest.spec else view.models[MODEL]
    indexed = index_in_lake(lake, view, serves, progress)
    models = {MODEL: serves, NEWEST: recorded, INDEX: indexed.entry}
    return Chosen(models, decision, measured, indexed.encoded)


def decide(newest: ModelEntry, previous: ModelEntry | None, gain: Estimate | None) -> Decision:
    """The newest model serves unless it is worse than the one before it beyond the interval of the difference."""
    before = "" if previous is None else previous.spec
    return promotion.decide(newest.spec, before, gain, metric=MAIN, units="queries")


def judge(
    lake: Lake, view: Snapshot, newest: ModelEntry, settings: Settings, progress: Progress | None = None
) -> tuple[Decision, dict[str, Any]]:
    """Measure everything on the held-out queries and all APIs of `view`, and decide which model serves.

    The model that served until now is measured again: queries and APIs are those of tonight. Gives the decision and
    model → `Measured.summary`, empty without held-out queries.
    """
    previous = view.models.get(MODEL)
    queries = Queries.of([p for p in lake.rows(view, RetrievalPair) if p.split != "train"])
    if not len(queries):
        return decide(newest, previous, None), {}
    searched = corpus_of(lake, view)
    corpus, words = searched.documents, Bm25Index.of(searched.words)
    _keep(lake, newest, corpus)
    trained = _of_lake(lake, newest, corpus, progress)
    measured = {BM25: measure(words, queries)}
    base = Encoder.load(settings.retriever.base, settings.retriever.max_tokens)
    measured[ZERO_SHOT] = measure(dense_over(lake, base, corpus, progress)[0], queries)
    measured[TRAINED] = measure(trained, queries)
    measured[HYBRID] = measure(Hybrid(trained, words, settings.fusion), queries)
    gain = None
    if previous is not None and previous.spec != newest.spec:
        measured[PREVIOUS] = measure(_of_lake(lake, previous, corpus, progress), queries)
        gain = compare(measured[TRAINED], measured[PREVIOUS])
    return decide(newest, previous, gain), summaries(measured, queries)


def summaries(measured: dict[str, Measured], queries: Queries) -> dict[str, Any]:
    """Model → `Measured.summary`."""
    return {name: found.summary(queries) for name, found in measured.items()}


def _of_lake(lake: Lake, entry: ModelEntry, corpus: dict[str, str], progress: Progress | None) -> Dense:
    """A model of the lake over `corpus`."""
    with opened(lake, entry) as folder:
        return dense_over(lake, Encoder.load(str(folder)), corpus, progress)[0]


def _keep(lake: Lake, entry: ModelEntry, corpus: dict[str, str]) -> None:
    """What a model encoded when it was trained is not encoded again, if that was over this very corpus."""
    if entry.metrics.get("corpus") != digest(corpus):
        return
    with opened(lake, entry) as folder:
        if not (folder / "index").is_dir():
            return
        index = Index.load(folder / "index")
        cache = EmbeddingCache(lake, identity(Encoder.load(str(folder))))
        cache.keep([corpus[i] for i in index.api_ids], index.embeddings)
