"""`toolbench student`: train an adapter on a lake's conversations, and see what it would learn from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from toolbench.cli import student_data
from toolbench.cli.options import Lake as LakeOption
from toolbench.cli.options import settings
from toolbench.errors import LakeError, ToolbenchError
from toolbench.lake import Draft, Lake, ModelEntry, Snapshot

if TYPE_CHECKING:
    from toolbench.student import StudentConfig

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Train a student on a lake's conversations.")
student_data.register(app)

Base = Annotated[
    str, typer.Option("--base", help="The model to adapt: a folder, or a name that the local cache holds.")
]


@app.command()
def train(
    base: Base,
    lake: LakeOption = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training conversations.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder that gets a copy of the adapter.")] = None,
) -> None:
    """Train a LoRA adapter on the training conversations of the newest snapshot, and publish it with the lake.

    Nothing is downloaded. What was trained before on the same conversations is not trained again.

    Example: toolbench student train --base ./my-model --epochs 2 --out adapter
    """
    from toolbench.student import MODEL, StudentConfig, finished, specification

    opened, view = _published(lake)
    config = StudentConfig(base=base, seed=settings(lake=lake).seed % 2**31)
    config = config.model_copy(update={"epochs": epochs or config.epochs})
    before = finished(opened, specification(view, config))
    entry = before or _train(opened, view, config)
    opened.publish(Draft(models={MODEL: entry}), "finetune-student")
    typer.echo(f"{'unchanged' if before else 'trained'}: {_figures(entry.metrics)}")
    typer.echo(f"adapter: {opened.store.url(entry.path)}")
    if out:
        try:
            typer.echo(f"copy: {opened.get_model(entry, out)}")
        except OSError as error:
            raise ToolbenchError(f"The adapter cannot be copied to {out} ({error}): name another folder.") from error


def _published(lake: str | None) -> tuple[Lake, Snapshot]:
    opened = Lake(settings(lake=lake).lake)
    if not opened.numbers():
        raise LakeError(
            f"Nothing was published to {opened.uri} yet: run `toolbench refresh` first or name another --lake."
        )
    return opened, opened.snapshot()


def _train(lake: Lake, view: Snapshot, config: "StudentConfig") -> ModelEntry:
    from toolbench.student import train_in_lake

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:10s}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done, total=total)

        return train_in_lake(lake, view, config, show)


def _figures(metrics: dict[str, Any]) -> str:
    text = f"{metrics['conversations']} conversations"
    if metrics["rejected"]:
        text += f", {sum(metrics['rejected'].values())} left out"
    if metrics["held_out"]:
        text += (
            f"; loss on {metrics['held_out']} held-out ones {metrics['loss_before']:.4f} before, "
            f"{metrics['loss_after']:.4f} after"
        )
    return f"{text}; {metrics['seconds']:.1f} s"
