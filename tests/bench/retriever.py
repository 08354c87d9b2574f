"""The retriever's search measured on the whole crawl: `python tests/bench/retriever.py [DATA] --lake FOLDER`.

With `shared/data` beside the repository. Every API of the crawl is encoded once, which takes long on a CPU; embeddings
are kept in the lake, so that a second run, or one after a kill, goes on from there. Queries are those of
`test_instruction`. Printed: what was encoded, then one table with the wall and CPU time of a search after encoding, and
the memory that the loaded index takes. How good the search is, `toolbench retriever eval --corpus` says over the same
lake.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolbench.catalogue import Holdout, read
from toolbench.encoder import Encoder, Floats
from toolbench.lake import Lake
from toolbench.retriever import Bm25Index, Corpus, Dense, EmbeddingCache, Hybrid, Index, Searcher, identity
from toolbench.retriever.sentences import sentences
from toolbench.settings import FusionSettings

TOP = 5


def main() -> None:
    """Encode, save, then measure in a process of its own, so that its memory is the index's."""
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("data", nargs="?", type=Path, default=beside, help="folder with the real data")
    parser.add_argument("--lake", type=Path, required=True, help="where embeddings and index are kept")
    parser.add_argument("--model", default="minilm", help="the encoder: minilm or a folder")
    parser.add_argument("--max-tokens", type=int, help="fewer encode faster; search takes as long")
    parser.add_argument("--measure", action="store_true", help="only measure what was made before")
    arguments = parser.parse_args()
    folder = arguments.lake / "bench"
    if not arguments.measure:
        make(arguments.data, Lake(str(arguments.lake)), Encoder.load(arguments.model, arguments.max_tokens), folder)
        subprocess.run([sys.executable, __file__, "--measure", "--lake", str(arguments.lake)], check=True)
        return
    measure(folder)


def make(data: Path, lake: Lake, encoder: Encoder, folder: Path) -> None:
    """Encode the crawl and the queries with their sentences, and save the indexes."""
    catalogue = read(str(data / "toolenv.tar.gz"), holdout=Holdout())
    corpus = Corpus.of(catalogue.apis, catalogue.tools)
    documents = list(corpus.documents.values())
    cache = EmbeddingCache(lake, identity(encoder))
    made = cache.embed(encoder, documents, lambda _, n, total: print(f"\r{n:,}/{total:,}", end="", flush=True))
    print(f"\r{len(corpus):,} documents: encoded {made.encoded:,}, reused {made.reused:,}")
    changed = [f"{text} (new)" if n % 100 == 0 else text for n, text in enumerate(documents)]
    again = cache.embed(encoder, changed)
    print(f"after a change of 1%: encoded {again.encoded:,}, reused {again.reused:,}")
    Index(list(corpus.documents), made.vectors).save(folder / "index")
    Bm25Index.of(corpus.words).save(folder / "bm25")
    queries = [
        query[0] if isinstance(query, list) else query
        for path in sorted((data / "test_instruction").glob("*.json"))
        for query in (entry["query"] for entry in json.loads(path.read_text(encoding="utf-8")))
    ]
    texts = [text for query in queries for text in (query, *sentences(query))]
    np.save(folder / "texts.npy", cache.embed(encoder, texts).vectors)
    (folder / "texts.json").write_text(json.dumps({"queries": queries, "texts": texts}), encoding="utf-8")


def measure(folder: Path) -> None:
    """Print the table."""
    said = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    vectors = dict(zip(said["texts"], np.load(folder / "texts.npy"), strict=True))
    queries: list[str] = said["queries"]

    def embed(texts: Sequence[str]) -> Floats:
        return np.stack([vectors[text] for text in texts])

    before = memory()
    index = Index.load(folder / "index")
    index.search(embed(queries[:1]), TOP)
    loaded = memory() - before
    before = memory()
    words = Bm25Index.load(folder / "bm25")
    words.rank(queries[:1], TOP)
    loaded_words = memory() - before
    plain = Index(index.api_ids, index.embeddings)
    for query in queries[::10]:
        assert index.search(embed([query]), TOP)[0] == plain.search(embed([query]), TOP)[0]
    dense = Dense(embed, index)
    searchers: dict[str, tuple[Searcher, float]] = {
        "model": (dense, loaded),
        "model, all dimensions": (Dense(embed, plain), loaded),
        "BM25": (words, loaded_words),
        "hybrid": (Hybrid(dense, words, FusionSettings()), loaded + loaded_words),
    }
    print(f"{len(index):,} APIs, {index.embeddings.shape[1]} dimensions, {len(queries)} queries, {TOP} best")
    print(f"{'search':28s} {'p50 ms':>8s} {'p99 ms':>8s} {'CPU p50':>8s} {'CPU p99':>8s} {'MB':>6s}")
    for name, (searcher, megabytes) in searchers.items():
        row(name, searcher, queries, megabytes)


def row(name: str, searcher: Searcher, queries: Sequence[str], megabytes: float) -> None:
    """Measure one kind of search, query by query."""
    walls, cpus = [], []
    for query in queries:
        wall, cpu = time.perf_counter(), time.process_time()
        searcher.rank([query], TOP)
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu))
    figures = [statistics.median(walls), np.quantile(walls, 0.99), statistics.median(cpus), np.quantile(cpus, 0.99)]
    print(f"{name:28s} " + " ".join(f"{f:8.2f}" for f in figures) + f" {megabytes:6.0f}")


def memory() -> float:
    """Resident megabytes of this process, pages of mapped files included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
