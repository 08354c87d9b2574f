"""Train a student: one task, since one model is one piece of work."""

from pathlib import Path

from tasks.shard import model_task
from toolbench.errors import ToolbenchError
from toolbench.lake import Lake, ModelEntry, Snapshot
from toolbench.student import StudentConfig, train_in_lake
from toolbench.student.fitting import Progress


@model_task("finetune student", "finetune {base}")
def finetune_student_shard(
    lake: Lake, view: Snapshot, config: StudentConfig, base: str, work: Path, progress: Progress
) -> ModelEntry:
    """The student's place in the lake; `base` is for the run's name. A retry goes on from the newest checkpoint."""
    entry = train_in_lake(lake, view, config, progress, work)
    if entry is None:
        raise ToolbenchError("The flow trains in one process: for several, use accelerate launch -m toolbench student.")
    return entry
