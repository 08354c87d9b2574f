"""Screening measured on real data: `python tests/bench/screening.py [DATA]`, with `shared/data` beside the repository.

The recorded responses are screened against the crawl, as a night without a network would. Printed: seconds, verdicts by
name and reason, flaws by call, what the lists of adult and junk tools hit, and examples to read.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from toolbench import catalogue, screening
from toolbench.apis.recorded import load
from toolbench.lake import Draft, Lake, Receipt
from toolbench.records import Api, Verdict
from toolbench.screening.responses import flaw
from toolbench.screening.rulebook import load as load_rules
from toolbench.settings import Settings

NIGHT = "2025-06-21"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("data", nargs="?", type=Path, default=beside, help="folder with the real data")
    parser.add_argument("--show", type=int, default=0, help="examples to print of each flaw and list")
    parser.add_argument("--calls", type=int, default=50, help="recorded calls of an API that are looked at")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Lake(f"{folder}/lake"), arguments.data, arguments.calls, arguments.show)


def measure(lake: Lake, data: Path, calls: int, show: int) -> None:
    """Collect the crawl, screen it with the recorded responses, print the figures."""
    settings = Settings(
        lake=lake.uri,
        catalogue={"source": str(data / "toolenv.tar.gz"), "responses": str(data / "tool_response_cache.tar.gz")},
        apis={"chain": ("recorded",)},
        screening={"calls": calls},
    )
    view = publish(lake, timed("collect the crawl", lambda: catalogue.collect(lake, settings)[0]), catalogue.TABLES)
    timed("read the responses", lambda: load(settings.catalogue.responses))
    specs = timed("plan", lambda: screening.plan(lake, view, settings, NIGHT))

    async def work() -> list[Receipt]:
        return [await screening.screen(lake, spec, settings, lambda: None) for spec in specs]

    view = publish(lake, timed(f"screen {len(specs)} shards", lambda: asyncio.run(work())), screening.TABLES)
    verdicts = list(lake.rows(view, Verdict))
    rated = [v for v in verdicts if v.calls]
    print(f"{len(verdicts):,} APIs, {len(rated):,} with {sum(v.calls for v in rated):,} recorded calls looked at")
    table("all APIs by verdict", Counter(v.verdict for v in verdicts))
    table("APIs with calls by verdict and reason", Counter(f"{v.verdict} {v.reason}".strip() for v in rated))
    flaws(settings, show)
    lists(verdicts, {api.id: api for api in lake.rows(view, Api)}, show)


def flaws(settings: Settings, show: int) -> None:
    """What is wrong with single calls, over all that were recorded."""
    rules = load_rules()
    found: dict[str, list[str]] = defaultdict(list)
    recorded = load(settings.catalogue.responses)
    started = time.monotonic()
    for of_api in recorded._calls.values():
        for _, answer in of_api:
            wrong = flaw(answer.response, rules) if not answer.error else None
            found[wrong.reason if wrong else "nothing"].append(json.dumps(answer.response, ensure_ascii=False)[:200])
    print(f"\nlooked for flaws in {len(recorded):,} calls: {time.monotonic() - started:.1f} s")
    table("calls by what is wrong with them", Counter({reason: len(calls) for reason, calls in found.items()}))
    errors = sum(len(calls) for reason, calls in found.items() if reason.startswith("error"))
    print(f"an error inside a success: {errors:,}; empty: {len(found['empty']):,}")
    for reason, calls in sorted(found.items()):
        different = sorted(set(calls))
        for text in random.Random(0).sample(different, min(show, len(different))):
            print(f"  {reason}: {text}")


def lists(verdicts: list[Verdict], apis: dict[str, Api], show: int) -> None:
    """What the lists of adult and junk tools hit."""
    hits = [v for v in verdicts if v.verdict == "unsuitable"]
    tools = {(v.reason, v.tool_id) for v in hits}
    table("unsuitable APIs", Counter(v.reason for v in hits))
    table("tools of unsuitable APIs", Counter(reason for reason, _ in tools))
    for verdict in random.Random(0).sample(hits, min(show, len(hits))):
        print(f"  {verdict.reason} {verdict.id} ({apis[verdict.id].tool}): {verdict.evidence[:200]}")


def publish(lake: Lake, receipts: list[Receipt], tables: tuple[str, ...]) -> Any:
    """The snapshot in which the receipts are published."""
    draft = Draft()
    draft.add(receipts, tables)
    return lake.publish(draft, "bench")


def timed(what: str, work: Any) -> Any:
    """What `work` gives; its seconds are printed."""
    started = time.monotonic()
    result = work()
    print(f"{what}: {time.monotonic() - started:.1f} s")
    return result


def table(title: str, counts: Counter[str]) -> None:
    """Counts, the largest first."""
    print(f"\n{title}")
    for name, count in counts.most_common():
        print(f"{count:8,}  {name}")


if __name__ == "__main__":
    main()
