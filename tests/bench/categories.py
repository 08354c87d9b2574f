"""How often a category that is inferred is the one the crawl gives: by words, by meaning, by both.

    python tests/bench/categories.py [--by-words 1000] [--by-meaning 300]

Only tools of the half that `topics.json` was not made from are asked for: its words were counted over the other half.
Prints accuracy at 1 and at 3 with standard errors, the five categories that are missed most and where their tools
went, and what is inferred for every OpenAPI document. Needs the real data (`TOOLBENCH_TEST_DATA`) and the extras
`demo` and `train`.
"""

import argparse
import hashlib
import json
import math
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toolbench.catalogue import infer, openapi
from toolbench.catalogue.drafts import Broken, ToolDraft
from toolbench.catalogue.reading import _readings
from toolbench.catalogue.sources import open_source
from toolbench.encoder import Encoder

DATA = Path(os.environ.get("TOOLBENCH_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


def unseen(tool: ToolDraft) -> bool:
    """Whether the tool is in the half that no word was counted over."""
    place = "/".join(tool.locator.split("/")[-2:])
    return hashlib.sha256(place.encode()).digest()[0] % 2 == 1


def ranked(scores: infer.Scores) -> list[str]:
    """Categories, nearest first."""
    return sorted(scores, key=lambda c: (-scores[c], c)) or ["Other"]


def report(name: str, tools: Sequence[ToolDraft], scores: Sequence[infer.Scores], seconds: float) -> None:
    """Accuracy, and the categories that are missed most."""
    first = [ranked(s)[:3] for s in scores]
    line = []
    for k in (1, 3):
        share = sum(t.category in r[:k] for t, r in zip(tools, first, strict=True)) / len(tools)
        line.append(f"accuracy@{k} {share:.3f} ± {math.sqrt(share * (1 - share) / len(tools)):.3f}")
    print(f"{name:28} {len(tools)} tools, {', '.join(line)}, {seconds:.1f} s")
    missed = Counter(t.category for t, r in zip(tools, first, strict=True) if r[0] != t.category)
    asked = Counter(t.category for t in tools)
    for category, n in missed.most_common(5):
        went = Counter(r[0] for t, r in zip(tools, first, strict=True) if t.category == category and r[0] != category)
        print(
            f"    {category}: {n} of {asked[category]} missed; {', '.join(f'{c} {m}' for c, m in went.most_common(4))}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by-words", type=int, default=1000, help="tools asked for by BM25")
    parser.add_argument("--by-meaning", type=int, default=300, help="tools asked for by the encoder")
    wanted = parser.parse_args()
    crawl = _readings(open_source(str(DATA / "toolenv.tar.gz")), None)
    tools = sorted((t for r in crawl for t in r.tools if unseen(t)), key=lambda t: t.locator)
    random.Random(0).shuffle(tools)
    few, many = tools[: wanted.by_meaning], tools[: wanted.by_words]
    start = time.perf_counter()
    report("BM25", many, [infer.by_bm25(t) for t in many], time.perf_counter() - start)
    start = time.perf_counter()
    report("BM25, the same tools", few, [infer.by_bm25(t) for t in few], time.perf_counter() - start)
    encoder = Encoder.load("minilm", infer.TOKENS)
    start = time.perf_counter()
    report("encoder", few, infer.by_encoder(few, encoder), time.perf_counter() - start)
    start = time.perf_counter()
    report("both", few, infer.scored(few, encoder), time.perf_counter() - start)
    documents(encoder)


def documents(encoder: Encoder) -> None:
    """What would be inferred for every OpenAPI document, whatever it says itself."""
    for path in sorted((DATA / "openapi").glob("*.json")):
        try:
            reading = openapi.read(json.loads(path.read_text("utf-8")), path.name, None)
        except (ValueError, Broken) as error:
            print(f"{path.name}: {error}")
            continue
        for tool in reading.tools:
            bare = replace(tool, category="")
            both = ranked(infer.scored([bare], encoder)[0])
            print(f"{tool.title[:60]:60} {both[0]:32} words alone: {ranked(infer.by_bm25(bare))[0]}")


if __name__ == "__main__":
    main()
