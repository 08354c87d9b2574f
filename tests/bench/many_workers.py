"""How much faster two workers are than one when the teacher's latency decides: `python tests/bench/many_workers.py`.

Each worker serves the queue `shards` alone, one batch at a time; the run that waits for the batches is a process of its
own, and so is everything else. Measured is the stage: from the first request that the teacher got for it to the last
receipt, and with the start of the batches' processes as well. Prints a table, in a quarter of an hour; exits with 1 if
two workers are less than 1.7 times as fast as one. Batches differ in length: fewer than five of them share out badly.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "integration")]

from many_machines import Stack, missing, until  # noqa: E402

from toolbench.lake import Lake  # noqa: E402

WANTED = 1.7


def settings(given: argparse.Namespace) -> dict[str, str]:
    """A worker has `--at-once` requests under way; the limit has slots for all workers."""
    return {
        "TOOLBENCH_INSTRUCTIONS__TOTAL": str(given.instructions),
        "TOOLBENCH_JUDGE__VOTES": "0",
        "TOOLBENCH_SEARCH__MAX_CALLS": str(given.calls),
        "TOOLBENCH_WORK__SHARD_SIZE": "2",
        "TOOLBENCH_WORK__BATCH_SHARDS": str(given.batch),
        "TOOLBENCH_WORK__WORKERS": "2",
        "TOOLBENCH_WORK__BATCH_PATIENCE": "600",
        "TOOLBENCH_TEACHER__MAX_CONCURRENCY": "2",
        "TOOLBENCH_SEED": "7",
    }


@contextmanager
def environment(stack: Stack) -> Iterator[None]:
    """The lake's credentials, for this process."""
    names = {name: value for name, value in stack.environment.items() if name.startswith("AWS_")}
    os.environ.update(names)
    yield
    for name in names:
        del os.environ[name]


def stage(stack: Stack, lake_uri: str, workers: int) -> tuple[float, float, int]:
    """Seconds from the dispatch of annotate-solutions' batches, and from its first request, to the last receipt; and
    its requests."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    command = [sys.executable, "-m", "toolbench", "refresh", "--lake", lake_uri]
    command += ["--catalogue", stack.documents("Finance", "Events", "Science"), "--groups", "I1,I2"]
    with (stack.folder / f"refresh-{workers}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=stack.folder, env=stack.environment, stdout=log, stderr=log)

    def over() -> bool:
        return process.poll() is not None

    try:
        lake = Lake(lake_uri)
        until(lambda: lake.store.list("specs/solutions") or over(), "no batches", 600, 0.1)
        began, before = time.monotonic(), stack.asked().total()
        until(lambda: stack.asked().total() > before or over(), "the teacher was not asked", 600, 0.05)
        first = time.monotonic()
        until(lambda: _done(lake) or over(), "the shards were not done", 1800, 0.5)
        ended = time.monotonic()
        if not _done(lake):
            raise SystemExit((stack.folder / f"refresh-{workers}.log").read_text()[-2000:])
        return ended - began, ended - first, stack.asked().total() - before
    finally:
        process.kill()
        process.wait()


def _done(lake: Lake) -> bool:
    wanted = {Path(key).stem for key, _ in lake.store.list("specs/solutions")}
    return wanted <= {Path(key).stem for key, _ in lake.store.list("receipts")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--latency-ms", type=int, default=3000)
    parser.add_argument("--instructions", type=int, default=48)
    parser.add_argument("--batch", type=int, default=6, help="shards of a batch")
    parser.add_argument("--calls", type=int, default=30, help="calls of one search at most")
    given = parser.parse_args()
    if why := missing():
        raise SystemExit(why)
    rows = []
    with ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory()))
        stack = open_.enter_context(Stack(folder, settings(given), latency_ms=given.latency_ms))
        open_.enter_context(environment(stack))
        stack.bootstrap(slots=8)
        stack.switch_off("A dataset is evaluated", "A dataset is reported")
        for workers in (1, 2):
            stack.worker(f"worker-{workers}", "--limit", "1", "--work-queue", "shards")
            rows.append((workers, *stage(stack, f"{stack.lake}-{workers}", workers)))
    print("| workers | requests | with the batches' start, s | from the first request, s |\n|---|---|---|---|")
    for workers, whole, asking, asked in rows:
        print(f"| {workers} | {asked} | {whole:.1f} | {asking:.1f} |")
    faster = rows[0][1] / rows[1][1]
    print(f"\ntwo workers are {faster:.2f} times as fast as one ({rows[0][2] / rows[1][2]:.2f} from the first request)")
    return 0 if faster >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
