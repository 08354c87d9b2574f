"""The report beside the tables it is about, where every machine that reads the lake can read it too."""

import tempfile
from pathlib import Path

from toolbench.lake import Lake
from toolbench.report.build import build
from toolbench.report.samples import INSTRUCTIONS_PER_GROUP


def publish(lake: Lake, number: int, *, instructions_per_group: int = INSTRUCTIONS_PER_GROUP) -> str:
    """Put the report of snapshot `number` below `reports/<number>/` in the lake; returns the first page's address.

    The first page is written last, so that whoever finds it finds what it links to. The same snapshot gives the same
    bytes: to publish again is harmless. Raises what `build` does, LakeError if storage fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        first = build(lake, Path(folder), number, instructions_per_group=instructions_per_group)
        pages = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        for page in sorted(pages, key=lambda path: path == first):
            key = f"reports/{number}/{page.relative_to(folder).as_posix()}"
            lake.store.write(key, page.read_bytes())
    return lake.store.url(f"reports/{number}/{first.name}")
