"""Which model serves, and the index it is searched by.

The snapshot names three: `retriever`, the model that serves; `retriever-newest`, the one trained last; and
`retriever-index`, the embeddings of all APIs by the one that serves, with BM25's index over the same.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolbench.digests import digest
from toolbench.encoder import Encoder, Progress
from toolbench.errors import LakeError
from toolbench.lake import Lake, ModelEntry, Snapshot, finish_model
from toolbench.records import Api, Tool
from toolbench.retriever.corpus import corpus_of
from toolbench.retriever.embeddings import EmbeddingCache, identity
from toolbench.retriever.index import Index
from toolbench.retriever.lexical import Bm25Index
from toolbench.retriever.refresh import MODEL, finished
from toolbench.retriever.searchers import Dense, Hybrid
from toolbench.settings import FusionSettings

NEWEST = "retriever-newest"
INDEX = "retriever-index"
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Indexed:
    """An index in the lake, and what it cost."""

    entry: ModelEntry
    encoded: int
    reused: int


def index_in_lake(lake: Lake, view: Snapshot, model: ModelEntry, progress: Progress | None = None) -> Indexed:
    """The index of all APIs of `view` for `model`: the one that is there, or one made now.

    Only documents that the model has not encoded before are encoded. Raises LakeError if there are no APIs.
    """
    spec = digest([_VERSION, model.spec, [e.sha256 for table in (Api.TABLE, Tool.TABLE) for e in view.entries(table)]])
    if (there := finished(lake, spec, INDEX)) is not None:
        return Indexed(there, 0, there.metrics["apis"])
    corpus = corpus_of(lake, view)
    if not len(corpus):
        raise LakeError(f"The lake {lake.uri} has no APIs to index: run `toolbench refresh` first.")
    with opened(lake, model) as folder, tempfile.TemporaryDirectory() as made:
        encoder = Encoder.load(str(folder))
        name = identity(encoder)
        found = EmbeddingCache(lake, name).embed(encoder, list(corpus.documents.values()), progress)
        Index(list(corpus.documents), found.vectors).save(Path(made) / "index")
        Bm25Index.of(corpus.words).save(Path(made) / "bm25")
        metrics = {"apis": len(corpus), "model": model.spec, "encoders": [name]}
        entry = lake.put_model(INDEX, spec, Path(made), metrics)
    finish_model(lake, INDEX, entry)
    return Indexed(entry, found.encoded, found.reused)


@contextmanager
def opened(lake: Lake, entry: ModelEntry, only: str = "") -> Iterator[Path]:
    """The files of a model below a folder of this machine, for the length of the block; `only` those that begin so."""
    wanted = {name: checksum for name, checksum in entry.files.items() if name.startswith(only)}
    with tempfile.TemporaryDirectory() as folder:
        yield lake.get_model(entry.model_copy(update={"files": wanted}), Path(folder))


def serving(lake: Lake, snapshot: Snapshot) -> ModelEntry:
    """The model that serves. Raises LakeError if there is none."""
    if MODEL not in snapshot.models:
        raise LakeError(
            f"Snapshot {snapshot.number} of {lake.uri} has no retriever: run `toolbench refresh`, which trains one."
        )
    return snapshot.models[MODEL]


@contextmanager
def dense(lake: Lake, snapshot: Snapshot) -> Iterator[Dense]:
    """The model that serves, with its index. Raises LakeError if the snapshot has none."""
    model, index = serving(lake, snapshot), snapshot.models.get(INDEX)
    with opened(lake, model) as folder:
        encoder = Encoder.load(str(folder))
        if index is None or index.metrics.get("model") != model.spec:  # published before indexes were kept apart
            yield Dense(encoder.encode, Index.load(folder / "index"))
            return
        with opened(lake, index, "index/") as place:
            yield Dense(encoder.encode, Index.load(place / "index"))


@contextmanager
def bm25(lake: Lake, snapshot: Snapshot) -> Iterator[Bm25Index]:
    """BM25 over the APIs of the snapshot: the index that is there, else one made now. No model is needed."""
    index = snapshot.models.get(INDEX)
    if index is None or not any(name.startswith("bm25/") for name in index.files):
        yield Bm25Index.of(corpus_of(lake, snapshot).words)
        return
    with opened(lake, index, "bm25/") as place:
        yield Bm25Index.load(place / "bm25")


@contextmanager
def hybrid(lake: Lake, snapshot: Snapshot, fusion: FusionSettings) -> Iterator[Hybrid]:
    """The model that serves and BM25, fused. Raises LakeError as `dense` does."""
    with dense(lake, snapshot) as found:
        if INDEX in snapshot.models:
            with bm25(lake, snapshot) as words:
                yield Hybrid(found, words, fusion)
            return
        texts = corpus_of(lake, snapshot).words
        yield Hybrid(found, Bm25Index.of({i: texts.get(i, "") for i in found.api_ids}), fusion)
