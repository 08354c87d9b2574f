"""Instructions measured: `python tests/bench/instructions.py sample|dedup|filters [DATA]`.

sample: 100,000 combinations over the whole crawl: seconds, memory, coverage, and the same again. dedup: near duplicates
among 300,000 texts made of real queries: seconds, memory, and on a sample precision and recall against exact Jaccard of
all pairs. filters: the real test queries through every filter, what is rejected and why. DATA is `shared/data`
beside the repository unless given.
"""

import argparse
import json
import random
import re
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from toolbench import catalogue, instructions
from toolbench.instructions import filters, native
from toolbench.instructions.contamination import Contamination
from toolbench.instructions.duplicates import THRESHOLD, NearDuplicates, shingles, similarity
from toolbench.instructions.unsafe import unsafe
from toolbench.instructions.written import Written
from toolbench.lake import Draft, Lake
from toolbench.settings import Settings


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("sample", "dedup", "filters"))
    beside = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("data", nargs="?", type=Path, default=beside, help="folder with the real data")
    parser.add_argument("--combinations", type=int, default=100_000)
    parser.add_argument("--texts", type=int, default=300_000)
    parser.add_argument("--sample", type=int, default=2_000)
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    arguments = parser.parse_args()
    if arguments.what == "filters":
        check(arguments.data)
    elif arguments.what == "sample":
        sample(arguments.data / "toolenv.tar.gz", arguments.combinations)
    else:
        dedup(queries(arguments.data), arguments.texts, arguments.sample, arguments.threshold)


def sample(source: Path, count: int) -> None:
    """Combinations over a crawl that is imported first."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(lake=folder).with_(catalogue={"source": str(source)})
        lake = Lake(folder)
        receipts, _ = catalogue.collect(lake, settings)
        draft = Draft()
        draft.add(receipts, catalogue.TABLES)
        view = lake.publish(draft, "bench")
        categories = sorted({e.partition["category"] for e in view.entries("apis")})
        before = resident()
        started = time.monotonic()
        drawn, rows = instructions.preview(lake, view, settings, categories=categories, count=count)
        seconds = time.monotonic() - started
        again, _ = instructions.preview(lake, view, settings, categories=categories, count=count)
    print(f"{len(drawn):,} combinations, {len({c.id for c in drawn}):,} distinct, {seconds:.1f} s with reading, "
          f"+{(resident() - before) / 2**20:.0f} MiB; the same again: {again == drawn}")  # fmt: skip
    for group in ("I1", "I2", "I3"):
        mine = [row for row in rows if row.group == group]
        print(f"{group}: {sum(r.combinations for r in mine):,} combinations, "
              f"{sum(r.apis for r in mine):,} of {sum(r.of_apis for r in mine):,} APIs, "
              f"{sum(r.pairs for r in mine):,} of {sum(r.of_pairs for r in mine):,} pairs of tools")  # fmt: skip
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, the import included")


def queries(data: Path) -> list[str]:
    """Real queries: training ones of I3 and the test set."""
    found = [entry["query"] for entry in json.loads((data / "retrieval" / "G3_train.json").read_text("utf-8"))]
    for path in sorted((data / "test_instruction").glob("*.json")):
        found += [e["query"] for e in json.loads(path.read_text("utf-8")) if isinstance(e["query"], str)]
    return found


def varied(base: list[str], count: int, seed: int = 0) -> Iterator[str]:
    """`count` texts: a fifth are edits of one of the last 5,000, the others new mixtures of sentences and words."""
    rng = random.Random(seed)
    sentences = [s for text in base for s in re.split(r"(?<=[.?!])\s+", text) if len(s.split()) > 3]
    words = sorted({w for text in base for w in text.split() if len(w) > 3})
    recent: list[str] = []
    for _ in range(count):
        if recent and rng.random() < 0.2:
            # From one word to a third of them: similarities from nearly 1 to far below the threshold.
            text = edited(rng.choice(recent), rng.choice((1, 1, 2, 2, 3, 4, 6, 10)), words, rng)
        else:
            text = " ".join(rng.choice(sentences) for _ in range(rng.choice((2, 3, 3, 4))))
            text = edited(text, rng.randint(2, 8), words, rng)
        recent.append(text)
        if len(recent) > 5_000:
            recent[rng.randrange(len(recent))] = recent.pop()
        yield text


def edited(text: str, changes: int, words: list[str], rng: random.Random) -> str:
    """The text with words replaced, dropped and added."""
    parts = text.split()
    for _ in range(changes):
        place = rng.randrange(len(parts))
        parts[place : place + rng.choice((0, 1, 1, 1, 2))] = [rng.choice(words)] if rng.random() < 0.8 else []
        parts = parts or [rng.choice(words)]
    return " ".join(parts)


def dedup(base: list[str], count: int, size: int, threshold: float) -> None:
    """Seconds and memory over `count` texts; precision and recall over `size` of them in a row."""
    texts = list(varied(base, count))
    before, near = resident(), NearDuplicates(threshold)
    started, duplicates = time.monotonic(), 0
    for number, text in enumerate(texts):
        duplicates += near.add(str(number), text) is not None
    seconds, used = time.monotonic() - started, resident() - before
    print(f"{count:,} texts, threshold {threshold}: {seconds:.1f} s, {duplicates:,} near duplicates")
    print(f"{used / 2**20:.0f} MiB more than before, {used / max(1, len(near)):.0f} bytes a text kept; "
          f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB with the texts")  # fmt: skip
    precision_and_recall(texts[:size], threshold)


def precision_and_recall(texts: list[str], threshold: float) -> None:
    """What `NearDuplicates` says of each text, against the similarity with all that it kept before."""
    near, kept = NearDuplicates(threshold), list[tuple[int, frozenset[int]]]()
    counts: Counter[str] = Counter()
    for number, text in enumerate(texts):
        found = shingles(text)
        best = max((similarity(found, other) for _, other in kept), default=0.0)
        said = near.add(str(number), text)
        right = said is not None and any(str(i) == said[0] and similarity(found, s) >= threshold for i, s in kept)
        counts["said"] += said is not None
        counts["said rightly"] += right
        counts["there"] += best >= threshold
        counts["there and said"] += best >= threshold and said is not None
        if said is None:
            kept.append((number, found))
    print(f"sample of {len(texts):,}: {counts['there']} have a near duplicate before them; precision "
          f"{counts['said rightly'] / max(1, counts['said']):.4f}, recall "
          f"{counts['there and said'] / max(1, counts['there']):.4f}")  # fmt: skip


def resident() -> int:
    """Bytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def check(data: Path) -> None:
    """Every filter over the real test queries; unsafe requests and test overlaps among the training queries too."""
    reasons: Counter[str] = Counter()
    total = 0
    started = time.monotonic()
    for path in sorted((data / "test_instruction").glob("*.json")):
        entries = native.read(str(path))
        apis = catalogue.apis_of_instructions(entries).apis
        by_id, find = {a.id: a for a in apis}, catalogue.Lookup(apis).find
        for entry in entries:
            row = native._instruction(entry, path.stem, find)
            candidates = {by_id[i].function: by_id[i] for i in row.candidates}
            written = Written(row.text, [by_id[i].function for i in row.relevant])
            reason = filters.check(written, candidates, row.group, shortest=5, longest=200, language="English")
            total += 1
            if reason:
                reasons[reason[0]] += 1
                print(f"{path.stem} {entry['query_id']}: {reason[0]}: {reason[1]}\n    {row.text}")
    print(f"\n{sum(reasons.values())} of {total} rejected ({sum(reasons.values()) / total:.1%}): {dict(reasons)}; "
          f"{time.monotonic() - started:.1f} s with reading")  # fmt: skip
    everything = queries(data)
    training, test = everything[: len(everything) - total], everything[len(everything) - total :]
    hits = [reason for text in training if (reason := unsafe(Written(text, [])))]
    print(f"{len(hits)} of {len(training):,} training queries are unsafe: {[reason[1] for reason in hits]}")
    contamination = Contamination.from_texts(test)
    overlaps = sum(contamination.find(text) is not None for text in training)
    print(f"{overlaps} of {len(training):,} training queries overlap with a test query")


if __name__ == "__main__":
    main()
