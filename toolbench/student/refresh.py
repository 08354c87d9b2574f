"""The student of a lake: trained again when its conversations or its base have changed, else the one that is there."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from toolbench.digests import digest
from toolbench.errors import LakeError
from toolbench.lake import Lake, ModelEntry, Snapshot
from toolbench.records import Conversation
from toolbench.student.config import StudentConfig
from toolbench.student.train import train

MODEL = "student"
VERSION = 1


def specification(view: Snapshot, config: StudentConfig) -> str:
    """The digest of everything that decides the student of a snapshot: conversations, base, configuration."""
    files = [e.sha256 for e in view.entries(Conversation.TABLE)]
    return digest([VERSION, files, config.model_dump(mode="json"), _contents(Path(config.base))])


def finished(lake: Lake, spec: str) -> ModelEntry | None:
    """The model of a specification, if it was trained and written before."""
    key = f"models/{MODEL}/{spec}.json"
    try:
        return ModelEntry.model_validate_json(lake.store.read(key))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LakeError(f"{lake.store.url(key)} is damaged; remove it and run again.") from error


def train_in_lake(
    lake: Lake, view: Snapshot, config: StudentConfig, progress: Callable[[str, int, int], None] | None = None
) -> ModelEntry:
    """Train on the conversations of `view`, and put the adapter into the lake.

    Raises ToolbenchError as `toolbench.student.train` does.
    """
    spec = specification(view, config)
    with tempfile.TemporaryDirectory() as folder:
        result = train(lake.rows(view, Conversation), config, Path(folder), progress)
        figures = {name: value for name, value in asdict(result).items() if name != "losses"}
        entry = lake.put_model(MODEL, spec, Path(folder), figures)
    # Written last: its presence means that every file of the model is there.
    lake.store.write(f"models/{MODEL}/{spec}.json", json.dumps(entry.model_dump()).encode())
    return entry


def _contents(base: Path) -> dict[str, str]:
    """File name → SHA-256 of a base that is a folder; a name in the cache stands for itself."""
    found = {}
    for path in sorted(base.iterdir()) if base.is_dir() else ():
        if path.is_file():
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
