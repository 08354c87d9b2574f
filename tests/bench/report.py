"""How long a report over many solutions takes, how much memory, and how large its files are.

    python tests/bench/report.py [--lake LAKE] [--solutions 100000] [--apis 46908] [--folder FOLDER]

`--lake`: a lake with solutions, such as `toolbench refresh` makes; without it one is made of the demo hub, offline. Its
solutions are written again and again under new ids, with their instructions, API calls, judgments, training samples and
journals, by the lake's own writer, in shards as large as a night's; its APIs as well. The report is built in a process
of its own, whose peak memory the operating system tells.
"""

import argparse
import asyncio
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolbench.digests import canonical, digest
from toolbench.lake import Draft, Journal, Lake, Snapshot, Spec
from toolbench.records import (
    Api,
    ApiCall,
    Conversation,
    Instruction,
    Judgment,
    Record,
    Reject,
    RetrievalPair,
    Run,
    Solution,
    Tool,
)
from toolbench.report.timings import timings

_PARTS = ((Tool, Api), (Instruction,), (Solution, ApiCall), (Judgment,), (Conversation, RetrievalPair, Reject), (Run,))
_BUILD = """
import resource, sys, time
from pathlib import Path
from toolbench.lake import Lake
from toolbench.report import build
started = time.monotonic()
build(Lake(sys.argv[1]), Path(sys.argv[2]))
usage = resource.getrusage(resource.RUSAGE_SELF)
print(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


def main() -> None:
    """Make the lake unless it is there, build the report, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--solutions", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "toolbench-report-bench")
    parser.add_argument("--shard", type=int, default=50)
    parser.add_argument("--apis", type=int, default=46_908)
    wanted = parser.parse_args()
    place = wanted.folder / f"lake-{wanted.solutions}"
    if not Lake(str(place)).numbers():
        started = time.monotonic()
        source = wanted.lake or _refreshed(wanted.folder / "source")
        multiply(Lake(str(source)), Lake(str(place)), wanted.solutions, wanted.shard, wanted.apis)
        print(f"lake made in {time.monotonic() - started:.0f} s")
    view = Lake(str(place)).snapshot()
    print(
        f"{view.rows('solutions'):,} solutions, {view.rows('api_calls'):,} API calls, {view.rows('apis'):,} APIs,",
        end=" ",
    )
    print(f"{len(view.entries('solutions')):,} shards")
    measure(place, wanted.folder / "out")


def _refreshed(folder: Path) -> Path:
    if not Lake(str(folder)).numbers():
        command = [sys.executable, "-m", "toolbench", "refresh", "--lake", str(folder)]
        subprocess.run(command, check=True, env={**os.environ, "TOOLBENCH_RETRIEVER__EPOCHS": "1"})
    return folder


def measure(lake: Path, out: Path) -> None:
    """Build in a process of its own, and print what it took and what it wrote."""
    command = [sys.executable, "-c", _BUILD, str(lake), str(out)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    seconds, work, memory = (float(word) for word in said)
    files = [(path.stat().st_size, path.relative_to(out).as_posix()) for path in out.rglob("*") if path.is_file()]
    trees = sorted(size for size, name in files if name.startswith("data/trees/"))
    first = sum(size for size, name in files if name in ("index.html", "static/report.css", "static/common.js"))
    largest, name = max(files)
    print(f"built in {seconds:.0f} s ({work:.0f} s of one core), peak memory {memory / 1024:.0f} MiB")
    print(f"{len(files):,} files, {sum(size for size, _ in files) / 2**20:,.0f} MiB")
    print(f"first page {first / 1000:.0f} kB with its style and script")
    median = trees[len(trees) // 2]
    print(f"files of trees: {len(trees):,}, median {median / 1000:.0f} kB, largest {trees[-1] / 1000:.0f} kB")
    print(f"largest file: {name}, {largest / 1000:.0f} kB")


def catalogue(source: Lake, target: Lake, draft: Draft, wanted: int) -> None:
    """Put `wanted` APIs into a draft, those of `source` and copies under new ids, a file for every 1,000 or so."""
    view = source.snapshot()
    tools, apis = list(source.rows(view, Tool)), list(source.rows(view, Api))
    part: dict[type[Record], list[Any]] = {Tool: [], Api: []}
    for copy in range(-(-wanted // len(apis))):
        end = f"_{copy}" if copy else ""
        part[Tool] += [replace(tool, id=tool.id + end, title=f"{tool.title} {copy}") for tool in tools]
        part[Api] += [
            replace(api, id=f"{api.tool_id}{end}/{api.name}", tool_id=api.tool_id + end, function=api.function + end)
            for api in apis[: wanted - copy * len(apis)]
        ]
        if len(part[Api]) >= 1_000 or (copy + 1) * len(apis) >= wanted:
            _put(target, draft, Api.TABLE, {"part": Api.TABLE}, copy, part)
            part = {Tool: [], Api: []}


def multiply(source: Lake, target: Lake, wanted: int, size: int, apis: int) -> None:
    """Publish `wanted` solutions in shards of `size`, copies of those in `source` under new ids, and as many APIs."""
    view = source.snapshot()
    draft = Draft()
    catalogue(source, target, draft, apis)
    _put(target, draft, Run.TABLE, {"part": Run.TABLE}, 0, {Run: list(source.rows(view, Run))})
    rows = _Rows(source, view)
    made, number = 0, 0
    while made < wanted:
        number += 1
        chosen = [rows.solutions[(made + n) % len(rows.solutions)] for n in range(min(size, wanted - made))]
        _shard(target, draft, rows, chosen, number, made)
        made += len(chosen)
    target.publish(draft, "bench")


class _Rows:
    """The rows of a lake, by what they belong to."""

    def __init__(self, lake: Lake, view: Snapshot) -> None:
        self.solutions = list(lake.rows(view, Solution))
        self.instructions = {row.id: row for row in lake.rows(view, Instruction)}
        self.of: dict[type[Record], dict[str, list[Any]]] = {kind: defaultdict(list) for kind in _OWNED}
        for kind, owner in _OWNED.items():
            for row in lake.rows(view, kind):
                self.of[kind][getattr(row, owner)].append(row)
        self.times = {s.spec: timings(lake, s.spec) for s in self.solutions}


_OWNED: dict[type[Record], str] = {
    ApiCall: "solution_id", Judgment: "solution_id", Conversation: "solution_id", Reject: "record_id",
    RetrievalPair: "query_id",
}  # fmt: skip


def _shard(lake: Lake, draft: Draft, rows: _Rows, chosen: Iterable[Solution], number: int, first: int) -> None:
    made: dict[type[Record], list[Any]] = defaultdict(list)
    spec = digest(["bench", number])
    journaled = []
    for place, old in enumerate(chosen, first):
        ours, asked = digest(["solution", place]), digest(["instruction", place])
        words = f"Case {place}: "
        instruction = rows.instructions[old.instruction_id]
        made[Instruction].append(replace(instruction, id=asked, text=words + instruction.text))
        made[Solution].append(replace(old, id=ours, instruction_id=asked))
        for kind in (ApiCall, Judgment, Conversation, Reject):
            for n, row in enumerate(rows.of[kind][old.id]):
                owner = {_OWNED[kind]: ours} | ({"instruction_id": asked} if kind in (Judgment, Conversation) else {})
                made[kind].append(replace(row, id=f"{ours}/{kind.TABLE}/{n}", **owner))
        for n, pair in enumerate(rows.of[RetrievalPair][old.instruction_id]):
            made[RetrievalPair].append(replace(pair, id=f"{asked}/{n}", query_id=asked))
        journaled.append((asked, rows.times[old.spec].get(old.instruction_id)))
    partition = {"group": "bench", "category": f"part {number % 40}"}
    for kinds in _PARTS[1:-1]:
        part = {kind: [replace(row, spec=spec) for row in made[kind]] for kind in kinds}
        name = _put(lake, draft, kinds[0].TABLE, partition, number, part)
        if Solution in kinds:
            asyncio.run(_journal(lake, name, journaled))


def _put(
    lake: Lake, draft: Draft, stage: str, partition: dict[str, str], number: int, rows: dict[type[Record], list[Any]]
) -> str:
    spec = Spec(stage=stage, label="", partition=partition, records=[], content=str(number), params={})
    receipt = lake.finish(spec, rows, taken_in=1, passed_on=1)
    for table, entry in receipt.tables.items():
        draft.replace.setdefault(table, {}).setdefault(canonical(entry.partition), []).append(entry)
    return spec.digest


async def _journal(lake: Lake, spec: str, journaled: list[Any]) -> None:
    """A journal with as many answers, as large as a night's: one row a reply and a call."""
    journal = Journal(lake, spec)
    began = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    for record, times in journaled:
        if times is None:
            continue
        for n, (seconds, read, written) in enumerate(times.replies):
            answer = {"content": "x" * 200, "calls": [], "input_tokens": read, "output_tokens": written, "cost": 0.0}
            journal._pending.append(_row(record, "chat", n, answer, began, seconds))
        for n, seconds in enumerate(times.calls):
            journal._pending.append(_row(record, "api", n, {"error": "", "response": "x" * 300}, began, seconds))
    await journal.flush()


def _row(record: str, kind: str, n: int, answer: Any, began: datetime.datetime, seconds: float) -> dict[str, Any]:
    return {
        "version": 1, "record": record, "kind": kind, "request": digest([kind, n], 32), "occurrence": n,
        "answer": json.dumps(answer), "started_at": began + datetime.timedelta(milliseconds=n), "seconds": seconds,
    }  # fmt: skip


if __name__ == "__main__":
    main()
