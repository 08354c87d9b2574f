"""finetune-student: a LoRA adapter trained on the lake's conversations, on a worker of the pool `gpu`."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, create_table_artifact
from prefect.artifacts import update_progress_artifact as move

from flows.evaluate import Method
from flows.parameters import Options, run_name
from flows.promote import Queries, promote
from flows.stage import Done, Threads, publish
from tasks.finetune import finetune_student_shard
from toolbench.errors import LakeError
from toolbench.lake import Draft, Lake
from toolbench.student import StudentConfig, finished, specification
from toolbench.student.base import require_gpu
from toolbench.student.config import Preset
from toolbench.student.fitting import METRICS
from toolbench.student.promotion import NEWEST

NAME = "finetune-student"
_EVERY = 30.0
"""Seconds between two looks at the metrics while it trains."""
_SHOWN = 20


@flow(name=NAME, flow_run_name=run_name, task_runner=Threads)
def finetune_student(
    options: Options,
    base: str,
    preset: Preset = "ours",
    training: dict[str, Any] | None = None,
    allow_cpu: bool = False,
    method: Method = "react",
    queries: Queries = 0,
) -> Done:
    """Train a student on the conversations of the newest snapshot; it serves if ToolEval says so.

    A killed run goes on when it is started again. Without a GPU it is refused, since it would take weeks.

    Args:
        options: Where the lake is, and the seed.
        base: The model to adapt: a folder of the worker, or a name that its local cache holds.
        preset: quick, ours or toolllama.
        training: Any other setting of the training by its name, for example {"epochs": 1}.
        allow_cpu: Train without a GPU, for models so small that it is no matter.
        method: How it searches the held-out instructions.
        queries: Held-out instructions that are asked at most, drawn by their ids. 0: all.
    """
    require_gpu(allow_cpu=allow_cpu)
    settings = options.settings()
    config = StudentConfig.preset(preset, base, **{"seed": settings.seed % 2**31, **(training or {})})
    lake = Lake(settings.lake)
    if not lake.numbers():
        raise LakeError(f"Nothing was published to {lake.uri} yet: run `toolbench refresh` first.")
    view = lake.snapshot()
    entry = finished(lake, specification(view, config))
    if entry is None:
        with tempfile.TemporaryDirectory() as work:
            entry = finetune_student_shard(lake, view, config, base, Path(work), _Telling(Path(work)))
    draft, newest = Draft(), view.models.get(NEWEST)
    if newest is None or newest.spec != entry.spec or "decision" not in newest.metrics:
        promote(lake, view, settings, draft, entry, base, method, queries)
    entry = draft.models.get(NEWEST) or view.models.get(NEWEST, entry)
    figures = "\n".join(f"- {name}: {value}" for name, value in entry.metrics.items())
    create_markdown_artifact(figures, key="student", description="The student")
    return Done(draft=lake.put_draft(draft), snapshot=publish(lake, draft, NAME).number)


class _Telling:
    """Progress and the newest metrics as artifacts of the run."""

    def __init__(self, work: Path) -> None:
        self.work, self.next = work, 0.0
        self.artifact = create_progress_artifact(progress=0.0, key="student-progress", description="Steps")

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase != "train" or (time.monotonic() < self.next and done < total):
            return
        self.next = time.monotonic() + _EVERY
        move(self.artifact, progress=100 * done / total)  # type: ignore[arg-type]
        path = self.work / METRICS
        lines = path.read_text(encoding="utf-8").splitlines()[-_SHOWN:] if path.is_file() else []
        if lines:
            table = [json.loads(line) for line in lines]
            create_table_artifact(table, key="student-metrics", description="Newest steps")
