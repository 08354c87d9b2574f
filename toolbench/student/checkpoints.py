"""Checkpoints of a training run: which are this run's, and their way to other machines and back."""

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

from toolbench.errors import ToolbenchError

_OF = "run.json"
"""Which run the checkpoints in a folder belong to."""


def newest(work: Path, run: str) -> str | None:
    """The folder of the newest whole checkpoint of `run` below `work`; those of another run are removed.

    A checkpoint without a legible `trainer_state.json`, which is written last, was cut off by a kill.
    """
    work.mkdir(parents=True, exist_ok=True)
    found = sorted(work.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    ours = (_read(work / _OF) or {}).get("run") == run
    for folder in found:
        if not ours or _read(folder / "trainer_state.json") is None:
            shutil.rmtree(folder)
    if not ours:
        (work / "metrics.jsonl").unlink(missing_ok=True)
    (work / _OF).write_text(json.dumps({"run": run}) + "\n", encoding="utf-8")
    left = [p for p in found if p.is_dir()]
    return str(left[-1]) if left else None


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where there is none, or not all of it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def packed(work: Path) -> bytes:
    """All that a run needs to go on elsewhere, as a tar file: adapters and their optimiser, some megabytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(work.glob("checkpoint-*")):
            tar.add(path, path.name)
        for name in (_OF, "metrics.jsonl"):
            if (work / name).is_file():
                tar.add(work / name, name)
    return buffer.getvalue()


def unpack(data: bytes, work: Path) -> None:
    """The opposite. Raises ToolbenchError if the file is damaged, or has anything that lies elsewhere."""
    work.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            tar.extractall(work, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ToolbenchError(f"The checkpoint in the lake is damaged ({error}): remove it and run again.") from error
