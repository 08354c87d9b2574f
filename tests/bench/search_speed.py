"""What the search costs: `python tests/bench/search_speed.py [--instructions 500]`, with `shared/` beside.

Starts the scripted endpoint and the scripted tool server of `shared/bench`, and for each row of the table a client
process of its own that annotates instructions shard by shard as the flow's tasks do: search, journal, API calls and
Parquet, without Prefect. CPU is the client's alone, user and system, from the first shard's start to the last one's
end; calls are counted by the endpoint. `--flow` runs the flow itself, on Prefect's ephemeral server, to tell its share:
the CPU of all threads but those that search stands in a column of its own.
"""

import argparse
import contextlib
import itertools
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil

from toolbench import catalogue, instructions, solutions
from toolbench.concurrency import Stopping
from toolbench.digests import digest
from toolbench.lake import Draft, Lake, Outcome, Receipt, Spec
from toolbench.records import Instruction, Reply
from toolbench.settings import Settings
from toolbench.world import World

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("TOOLBENCH_TEST_BENCH", REPOSITORY.parent / "shared" / "bench"))
DATA = SHARED.parent / "data" / "test_instruction" / "G1_instruction.json"


@dataclass(frozen=True)
class Row:
    """One way to run."""

    responses: str
    """recorded, or server: one HTTP call each."""
    latency: int
    """Milliseconds of the endpoint."""
    at_once: int
    """Instructions under way."""
    shards: int = 1
    """Shards under way, which share them."""

    @property
    def name(self) -> str:
        """The row's heading."""
        return f"{self.responses}, {self.latency} ms, {self.at_once} at once"


ROWS = (
    Row("recorded", 0, 16),
    Row("recorded", 0, 64),
    Row("server", 0, 16),
    Row("server", 0, 64),
    Row("server", 200, 256),
)


HEADS = ("calls", "calls/s", "ms CPU/call", "of theory", "peak MiB", "first call s", "CPU beside s")
_SHARD = 500
_LABEL = "instructions"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3, help="of each row; the median counts")
    parser.add_argument("--row", type=int, help="only this row of the table, from 0")
    parser.add_argument("--flow", action="store_true", help="through the flow, on Prefect's ephemeral server")
    parser.add_argument("--calls", type=int, default=4, help="API calls before the answer, as the endpoint is scripted")
    parser.add_argument("--shards", type=int, default=1, help="shards under way, which share the instructions at once")
    parser.add_argument("--trace", action="store_true", help="print memory shard by shard")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        print(json.dumps(client(**json.loads(arguments.client))))
        return
    with tempfile.TemporaryDirectory() as folder:
        recordings = None
        heads = "".join(f"{name:>13}" for name in HEADS)
        print(f"{'':32}{heads}")
        for each in ROWS if arguments.row is None else ROWS[arguments.row : arguments.row + 1]:
            row = replace(each, shards=arguments.shards)
            if row.responses == "recorded" and not recordings:
                recordings = Path(folder) / "recordings"
                measured(Row("server", 0, 64), recordings, None, arguments)
            found = [
                measured(row, Path(folder) / f"{row.name}-{run}".replace(" ", ""), recordings, arguments)
                for run in range(arguments.runs)
            ]
            show(row, sorted(found, key=lambda one: float(one["cpu"]) / one["calls"])[len(found) // 2])


def measured(row: Row, lake: Path, recordings: Path | None, arguments: Any) -> dict[str, Any]:
    """One client process against fresh servers."""
    with (
        server("scripted_endpoint.py", "--latency-ms", str(row.latency), "--calls", str(arguments.calls)) as endpoint,
        server("scripted_tools.py") as tools,
    ):
        wanted = {
            "row": asdict(row), "lake": str(lake), "endpoint": endpoint, "tools": tools, "flow": arguments.flow,
            "recordings": str(recordings or ""), "trace": arguments.trace,
        }  # fmt: skip
        run_client(wanted | {"prepare": arguments.instructions})
        return run_client(wanted) | {"calls": httpx.get(f"{endpoint}/stats").json()["chat"]}


def run_client(wanted: dict[str, Any]) -> dict[str, Any]:
    """A process of its own, so that its memory is its own, too."""
    command = [sys.executable, __file__, "--client", json.dumps(wanted)]
    child = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return found


@contextlib.contextmanager
def server(script: str, *options: str) -> Iterator[str]:
    """One of the scripted servers on a free port; its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(SHARED / script), "--port", str(port), *options], stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def client(**wanted: Any) -> dict[str, Any]:
    """What one client process does and measures."""
    row = Row(**wanted["row"])
    at_once = row.at_once // row.shards
    apis: dict[str, Any] = {"chain": ("recorded", "simulated")}
    if row.responses == "server":
        apis = {"chain": ("server",), "server_url": f"{wanted['tools']}/virtual", "max_concurrency": at_once}
    settings = Settings(
        lake=wanted["lake"],
        teacher={"base_url": f"{wanted['endpoint']}/v1", "model": "scripted", "max_concurrency": at_once},
        catalogue={"responses": wanted["recordings"] if row.responses == "recorded" else ""},
        apis=apis,
        judge={"votes": 0},
        work={"shard_size": _SHARD // row.shards, "workers": row.shards},
    )
    if wanted.get("prepare"):
        return prepare(Lake(settings.lake), wanted["prepare"])
    first = noted_first_call()
    began, cpu = time.monotonic(), cpu_seconds()
    outcomes = through_flow(settings) if wanted["flow"] else by_itself(settings, wanted["trace"])
    ended = {"seconds": time.monotonic() - began, "cpu": cpu_seconds() - cpu, "peak": memory(), "outcomes": outcomes}
    return ended | {"first": first[0] - psutil.Process().create_time(), "beside": living_threads()}


def by_itself(settings: Settings, trace: bool) -> dict[str, int]:
    """Plan, then shard by shard, some at once in threads, as the flow has them. How many ended how."""
    lake = Lake(settings.lake)
    began = time.monotonic()
    specs = solutions.plan(lake, lake.snapshot(), settings, partitions=[{"instructions": _LABEL}])

    def work(spec: Spec) -> Receipt:
        return Stopping().run(solutions.annotate(lake, spec, settings, lambda: None))

    outcomes: Counter[str] = Counter()
    with ThreadPoolExecutor(settings.work.workers) as pool:
        for receipt in pool.map(work, specs):
            outcomes.update(receipt.outcomes)
            if trace:
                told = f"{outcomes.total():>9,} {time.monotonic() - began:8.1f} s {memory():6.0f} MiB"
                print(told, file=sys.stderr, flush=True)
    return dict(outcomes)


def noted_first_call() -> list[float]:
    """Gets one entry when the first call begins: the time."""
    noted: list[float] = []
    chat = World.chat

    async def noting(self: World, *positional: Any, **named: Any) -> Reply:
        if not noted:
            noted.append(time.time())
        return await chat(self, *positional, **named)

    World.chat = noting  # type: ignore[method-assign]
    return noted


def prepare(lake: Lake, amount: int) -> dict[str, Any]:
    """So many instructions and their APIs in the lake: the real ones over and over, each with an id and a text of its
    own, in files of a shard's size, as the factory makes them."""
    entries = json.loads(DATA.read_text(encoding="utf-8"))
    found = catalogue.apis_of_instructions(entries)
    receipts, reused = catalogue.write(lake, found, {"instructions": _LABEL})
    draft = Draft()
    add = {"flow": "bench", "model": ""}
    Outcome(catalogue.STAGE, receipts, reused, 0.0).add_to(draft, main="apis", tables=catalogue.TABLES, **add)
    real = instructions.native.instructions(entries, _LABEL, catalogue.Lookup(found.apis).find)
    shards = [write(lake, real, range(amount)[i : i + _SHARD]) for i in range(0, amount, _SHARD)]
    outcome = Outcome(instructions.STAGE, shards, 0, 0.0)
    outcome.add_to(draft, main="instructions", tables=instructions.TABLES, **add)
    lake.publish(draft, "bench")
    return {"instructions": amount}


def write(lake: Lake, real: Sequence[Instruction], numbers: range) -> Receipt:
    """One file of instructions."""
    turns = itertools.islice(itertools.cycle(real), numbers.start % len(real), None)
    rows = [
        replace(one, id=digest([one.id, number]), text=f"{one.text} (Case {number}.)")
        for number, one in zip(numbers, turns, strict=False)
    ]
    spec = Spec(
        stage=instructions.STAGE,
        label=f"{_LABEL} {numbers.start}",
        partition={"instructions": _LABEL},
        records=[row.id for row in rows],
        content=digest([row.text for row in rows]),
        params={},
    )
    made = {Instruction: [replace(row, spec=spec.digest) for row in rows]}
    return lake.finish(spec, made, taken_in=len(rows), passed_on=len(rows))


def through_flow(settings: Settings) -> dict[str, int]:
    """The flow annotate-solutions, Prefect included."""
    from flows.annotate import annotate_solutions
    from flows.parameters import Options

    more = {
        "teacher.max_concurrency": settings.teacher.max_concurrency,
        "apis.chain": list(settings.apis.chain),
        "apis.server_url": settings.apis.server_url,
        "apis.max_concurrency": settings.apis.max_concurrency,
        "judge.votes": 0,
        "work.shard_size": settings.work.shard_size,
        "work.workers": settings.work.workers,
    }
    teacher = {"base_url": settings.teacher.base_url, "model": settings.teacher.model}
    responses = settings.catalogue.responses or None
    annotate_solutions(Options(lake=settings.lake, responses=responses, **teacher, more=more))
    return {}


def show(row: Row, found: dict[str, Any]) -> None:
    """One line of the table."""
    calls, seconds = found["calls"], found["seconds"]
    theory = f"{100 * calls / seconds / (row.at_once * 1000 / row.latency):.0f}%" if row.latency else "–"
    figures = (
        f"{calls:,}", f"{calls / seconds:.0f}", f"{1000 * found['cpu'] / calls:.2f}", theory, f"{found['peak']:.0f}",
        f"{found['first']:.1f}", f"{found['beside']:.1f}",
    )  # fmt: skip
    print(f"{row.name:32}{''.join(f'{f:>13}' for f in figures)}   {found['outcomes']}", flush=True)


def cpu_seconds() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def living_threads() -> float:
    """User and system time of the threads that there still are, but for the one that searches, from the start of the
    process."""
    searching = {thread.native_id for thread in threading.enumerate() if thread.name == "shards"}
    others = [thread for thread in psutil.Process().threads() if thread.id not in searching]
    return float(sum(thread.user_time + thread.system_time for thread in others))


def memory() -> float:
    """The most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
