"""The folder that a training run can be gone on with from."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from toolbench.errors import ToolbenchError

_STATE = "trainer_state.json"
"""Written last of a checkpoint's files: where it is missing or broken, the checkpoint is not whole."""


def claim(folder: Path, identity: str) -> None:
    """Take `folder` for the checkpoints of the run that `identity` names. Raises ToolbenchError if it is another's."""
    mark = folder / "run.json"
    try:
        known = json.loads(mark.read_text(encoding="utf-8"))
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        write(mark, identity)
        return
    except ValueError:
        known = None
    if known != identity:
        raise ToolbenchError(
            f"{folder} holds the checkpoints of a run with other pairs, documents or settings: name another folder, or "
            "remove it to start anew."
        )


def processes() -> int:
    """How many processes train together: accelerate and torchrun say it in the environment."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first_process() -> bool:
    """Whether this process is the one that writes: of several that train together, the first."""
    return os.environ.get("RANK", "0") == "0"


def write(path: Path, value: Any) -> None:
    """Write a value as JSON, all of it or nothing: a kill may come at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value), encoding="utf-8")
    partial.replace(path)


def last(folder: Path) -> str | None:
    """The newest whole checkpoint; what a kill left of others is removed."""
    whole = []
    for place in folder.glob("checkpoint-*"):
        try:
            whole.append((json.loads((place / _STATE).read_text(encoding="utf-8"))["global_step"], place))
        except (OSError, ValueError, KeyError):
            shutil.rmtree(place, ignore_errors=True)
    return str(max(whole)[1]) if whole else None
