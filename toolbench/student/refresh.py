"""The student of a lake: trained again when its conversations or its base have changed, else the one that is there."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from toolbench.digests import digest
from toolbench.lake import Lake, ModelEntry, Snapshot, finish_model, finished_model
from toolbench.records import Conversation, Judgment
from toolbench.student.checkpoints import packed, unpack
from toolbench.student.config import StudentConfig
from toolbench.student.fitting import one_first
from toolbench.student.train import train

MODEL = "student"
VERSION = 3


def specification(view: Snapshot, config: StudentConfig) -> str:
    """The digest of everything that decides the student of a snapshot: conversations, base, configuration."""
    files = [e.sha256 for e in view.entries(Conversation.TABLE)]
    return digest([VERSION, files, config.model_dump(mode="json"), contents(Path(config.base))])


def finished(lake: Lake, spec: str) -> ModelEntry | None:
    """The model of a specification, if it was trained and written before."""
    return finished_model(lake, MODEL, spec)


def train_in_lake(
    lake: Lake,
    view: Snapshot,
    config: StudentConfig,
    progress: Callable[[str, int, int], None] | None = None,
    work: Path | None = None,
) -> ModelEntry | None:
    """Train on the conversations of `view`, and put the adapter into the lake.

    Checkpoints go into the lake, too: a run that was killed goes on from the newest one, wherever it is started again.
    `work`: where they lie on this machine while it runs, with `metrics.jsonl`; several processes that train together
    need the same. Of those one puts the adapter into the lake, the others get None. Raises ToolbenchError as
    `toolbench.student.train` does.
    """
    spec = specification(view, config)
    key = f"checkpoints/{MODEL}/{spec}.tar"
    with tempfile.TemporaryDirectory() as temporary:
        place = work or Path(temporary) / "work"
        with one_first():
            if not any(place.glob("checkpoint-*")) and lake.store.exists(key):
                unpack(lake.store.read(key), place)
        folder = Path(temporary) / "student"
        result = train(
            lake.rows(view, Conversation),
            config,
            folder,
            progress,
            work=place,
            saved=lambda at: lake.store.write(key, packed(at)),
            lineage=lineage(lake, view),
        )
        if not (folder / "metrics.json").is_file():
            return None
        figures = {name: value for name, value in asdict(result).items() if name not in ("losses", "held_out_losses")}
        entry = lake.put_model(MODEL, spec, folder, figures)
    finish_model(lake, MODEL, entry)
    lake.store.delete([key])
    return entry


def lineage(lake: Lake, view: Snapshot) -> dict[str, Any]:
    """Where the conversations of a snapshot come from, for the model card."""
    votes: Counter[tuple[str, str]] = Counter()
    if view.rows(Judgment.TABLE):
        votes.update((j.model, j.verdict) for j in lake.rows(view, Judgment) if j.split == "train")
    judged = "; ".join(f"{model}: {verdict} {count}" for (model, verdict), count in sorted(votes.items()))
    return {
        "snapshot": view.number,
        "conversations": view.rows(Conversation.TABLE),
        "APIs": view.rows("apis"),
        "judges' votes on training solutions": judged or "none",
    }


def contents(base: Path) -> dict[str, str]:
    """File name → SHA-256 of a base that is a folder; a name in the cache stands for itself."""
    found = {}
    for path in sorted(base.iterdir()) if base.is_dir() else ():
        if path.is_file():
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
