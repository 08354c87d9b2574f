"""The retriever's search measured on the whole crawl: `python tests/bench/retriever.py [DATA] --lake FOLDER`.

With `shared/data` beside the repository. Every API of the crawl is encoded once, which takes long on a CPU; embeddings
are kept in the lake, so that a second run, or one after a kill, goes on from there. Queries are those of
`test_instruction`. Printed: what was encoded, then one table with the wall and CPU time of a search after encoding, and
the memory that the loaded index takes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from toolbench.catalogue import Holdout, read
from toolbench.documents import document
from toolbench.encoder import Encoder
from toolbench.lake import Lake
from toolbench.retriever import Bm25Index, EmbeddingCache, Index, fuse, identity

TOP, DEPTH = 5, 100


def main() -> None:
    """Encode, save, then measure in a process of its own, so that its memory is the index's."""
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("data", nargs="?", type=Path, default=beside, help="folder with the real data")
    parser.add_argument("--lake", type=Path, required=True, help="where embeddings and index are kept")
    parser.add_argument("--max-tokens", type=int, default=128, help="fewer encode faster; search takes as long")
    parser.add_argument("--measure", action="store_true", help="only measure what was made before")
    arguments = parser.parse_args()
    folder = arguments.lake / "bench"
    if not arguments.measure:
        make(arguments.data, Lake(str(arguments.lake)), arguments.max_tokens, folder)
        subprocess.run([sys.executable, __file__, "--measure", "--lake", str(arguments.lake)], check=True)
        return
    measure(folder)


def make(data: Path, lake: Lake, max_tokens: int, folder: Path) -> None:
    """Encode the crawl and the queries, and save the indexes."""
    apis = read(str(data / "toolenv.tar.gz"), holdout=Holdout()).apis
    corpus = {api.id: document(api) for api in apis}
    encoder = Encoder.load("minilm", max_tokens)
    cache = EmbeddingCache(lake, identity(encoder))
    made = cache.embed(
        encoder, list(corpus.values()), lambda _, n, total: print(f"\r{n:,}/{total:,}", end="", flush=True)
    )
    print(f"\r{len(corpus):,} documents: encoded {made.encoded:,}, reused {made.reused:,}")
    changed = [f"{text} (new)" if n % 100 == 0 else text for n, text in enumerate(corpus.values())]
    again = cache.embed(encoder, changed)
    print(f"after a change of 1%: encoded {again.encoded:,}, reused {again.reused:,}")
    Index(list(corpus), made.vectors).save(folder / "index")
    Bm25Index.build(list(corpus), list(corpus.values())).save(folder / "bm25")
    texts = [
        query[0] if isinstance(query, list) else query
        for path in sorted((data / "test_instruction").glob("*.json"))
        for query in (entry["query"] for entry in json.loads(path.read_text(encoding="utf-8")))
    ]
    np.save(folder / "queries.npy", cache.embed(encoder, texts).vectors)
    (folder / "queries.json").write_text(json.dumps(texts), encoding="utf-8")


def measure(folder: Path) -> None:
    """Print the table."""
    queries, texts = np.load(folder / "queries.npy"), json.loads((folder / "queries.json").read_text())
    before = memory()
    index = Index.load(folder / "index")
    plain = Index(index.api_ids, index.embeddings)
    index.search(queries[:1], TOP)
    loaded = memory() - before
    before = memory()
    words = Bm25Index.load(folder / "bm25")
    words.rank(texts[:1], TOP)
    loaded_words = memory() - before

    def hybrid(n: int) -> object:
        dense, _ = index.search(queries[n : n + 1], DEPTH)
        return fuse([dense[0], words.rank([texts[n]], DEPTH)[0].api_ids], (1, 1), 60, TOP)

    for n in range(0, len(texts), 10):
        assert index.search(queries[n : n + 1], TOP)[0] == plain.search(queries[n : n + 1], TOP)[0]
    print(f"{len(index):,} APIs, {index.embeddings.shape[1]} dimensions, {len(texts)} queries, {TOP} best")
    print(f"{'search':28s} {'p50 ms':>8s} {'p99 ms':>8s} {'CPU p50':>8s} {'CPU p99':>8s} {'MB':>6s}")
    row("embeddings, half first", lambda n: index.search(queries[n : n + 1], TOP), len(texts), loaded)
    row("embeddings, all", lambda n: plain.search(queries[n : n + 1], TOP), len(texts), loaded)
    row("BM25", lambda n: words.rank([texts[n]], TOP), len(texts), loaded_words)
    row("hybrid", hybrid, len(texts), loaded + loaded_words)


def row(name: str, search: Callable[[int], object], count: int, megabytes: float) -> None:
    """Measure one kind of search, query by query."""
    walls, cpus = [], []
    for n in range(count):
        wall, cpu = time.perf_counter(), time.process_time()
        search(n)
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
