"""The report beside the tables it is about, where every machine that reads the lake can read it too."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from toolbench.lake import Lake
from toolbench.report.build import build
from toolbench.report.samples import INSTRUCTIONS_PER_GROUP

_AT_ONCE = 8
"""Files on their way: most of the time each waits for storage."""


def publish(
    lake: Lake, number: int, *, instructions_per_group: int = INSTRUCTIONS_PER_GROUP, labels: Path | None = None
) -> str:
    """Put the report of snapshot `number` below `reports/<number>/` in the lake; returns the first page's address.

    The first page is written last, so that whoever finds it finds what it links to. The same snapshot gives the same
    bytes: to publish again is harmless. Raises what `build` does, LakeError if storage fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = build(lake, folder, number, instructions_per_group=instructions_per_group, labels=labels)

        def put(path: Path) -> None:
            lake.store.write(f"reports/{number}/{path.relative_to(folder).as_posix()}", path.read_bytes())

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            # `list` raises what a write raised.
            list(pool.map(put, sorted(p for p in folder.rglob("*") if p.is_file() and p != first)))
        put(first)
    return lake.store.url(f"reports/{number}/{first.name}")
