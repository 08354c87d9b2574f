"""How long the whole crawl takes to import, how much memory, and whether anything is lost.

    python tests/bench/catalogue.py

Reads `toolenv.tar.gz` from TOOLBENCH_TEST_DATA or ../shared/data. Each import is a process of its own, as a user's
command is; seconds are wall clock with Python's start, memory is the process's peak.
"""

import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from toolbench.lake import Lake
from toolbench.records import Reject, Run, Tool

DATA = Path(os.environ.get("TOOLBENCH_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
LIMITS = {"first": 30.0, "second": 10.0, "MiB": 1024.0}


def imported(source: Path, lake: str) -> float:
    """Seconds of `toolbench import`."""
    started = time.monotonic()
    command = [sys.executable, "-m", "toolbench", "import", str(source), "--lake", lake]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def counted(source: Path) -> tuple[int, int]:
    """Tools and APIs in the tarball, counted without toolbench."""
    tools = apis = 0
    with tarfile.open(source, "r|gz") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".json") else None
            if stream is not None:
                tools += 1
                apis += len(json.load(stream)["api_list"])
    return tools, apis


def main() -> int:
    source = DATA / "toolenv.tar.gz"
    with tempfile.TemporaryDirectory() as folder:
        first, second = imported(source, folder), imported(source, folder)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        lake = Lake(folder)
        (run,) = lake.rows(lake.snapshot(), Run)
        tools = sum(1 for _ in lake.rows(lake.snapshot(), Tool))
        rejected = {row.record_id.partition("#")[0] for row in lake.rows(lake.snapshot(), Reject)}
        numbers = lake.numbers()
    tools_in, apis_in = counted(source)
    print(f"first import   {first:6.1f} s   (limit {LIMITS['first']:.0f})")
    print(f"second import  {second:6.1f} s   (limit {LIMITS['second']:.0f}), snapshots {numbers}")
    print(f"peak memory    {peak:6.0f} MiB (limit {LIMITS['MiB']:.0f})")
    print(f"APIs           {apis_in:,} in = {run.passed_on:,} rows + {run.rejected:,} rejects ({run.reasons})")
    print(f"tools          {tools_in:,} in, {tools:,} rows, {len(rejected):,} files with rejects")
    print(f"changes        {run.outcomes}")
    kept = apis_in == run.passed_on + run.rejected and tools <= tools_in <= tools + len(rejected)
    quick = first <= LIMITS["first"] and second <= LIMITS["second"] and peak <= LIMITS["MiB"]
    return 0 if kept and quick and numbers == [1] else 1


if __name__ == "__main__":
    sys.exit(main())
