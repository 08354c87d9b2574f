"""`toolbench student train` and `merge`: from conversations to an adapter, and from an adapter to a model."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import ValidationError

from toolbench.cli.bars import bars
from toolbench.cli.lake import published
from toolbench.cli.options import Lake as LakeOption
from toolbench.cli.options import first_fault, settings, split
from toolbench.errors import ToolbenchError, UsageError
from toolbench.lake import Draft, Lake, ModelEntry

if TYPE_CHECKING:
    from toolbench.student import StudentConfig
    from toolbench.student.config import Preset

Base = Annotated[
    str, typer.Option("--base", help="The model to adapt: a folder, or a name that the local cache holds.")
]


def train(
    base: Base,
    lake: LakeOption = None,
    preset: Annotated[
        Literal["quick", "ours", "toolllama"],
        typer.Option(help="quick: some hundred conversations; ours: thousands, on a GPU; toolllama: the paper's."),
    ] = "quick",
    epochs: Annotated[int | None, typer.Option(help="Passes over the training conversations.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in all, in place of epochs.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The peak of the learning rate.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Conversations that make a step.")] = None,
    micro_batch: Annotated[int | None, typer.Option(help="Conversations in memory at once.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest conversation in tokens.")] = None,
    calls: Annotated[
        Literal["auto", "native", "react"] | None, typer.Option(help="How calls are written, as in `student preview`.")
    ] = None,
    per_turn: Annotated[bool | None, typer.Option("--per-turn", help="One sample a turn, loss on it alone.")] = None,
    give_ups: Annotated[bool | None, typer.Option("--give-ups", help="Also paths that end with giving up.")] = None,
    rank: Annotated[int | None, typer.Option(help="Rank of the adapter.")] = None,
    alpha: Annotated[int | None, typer.Option(help="The adapter is scaled by alpha / rank.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Share of the adapter's inputs dropped while training.")] = None,
    target_modules: Annotated[
        str | None, typer.Option(help="Layers that get an adapter: all-linear, or names separated by commas.")
    ] = None,
    rope: Annotated[
        Literal["none", "linear", "yarn"] | None, typer.Option(help="How positions are stretched to --max-tokens.")
    ] = None,
    packing: Annotated[bool | None, typer.Option(help="Several conversations in one sequence.")] = None,
    gradient_checkpointing: Annotated[bool | None, typer.Option(help="Slower, with far less memory.")] = None,
    quantize: Annotated[bool | None, typer.Option(help="QLoRA: the base in 4 bits, on a GPU.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between two checkpoints.")] = None,
    evaluate_every: Annotated[int | None, typer.Option(help="Steps between two looks at what is held out.")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many looks without a better loss.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder that gets a copy of the adapter.")] = None,
    merged: Annotated[Path | None, typer.Option("--merge", help="A folder for the merged model.")] = None,
    work: Annotated[
        Path | None, typer.Option(help="Where checkpoints and metrics.jsonl lie while it runs. Without: temporary.")
    ] = None,
) -> None:
    """Train a LoRA adapter on the training conversations of the newest snapshot, and publish it as the newest student.

    It serves once `toolbench student promote` has judged it.

    Nothing is downloaded. What was trained before on the same conversations is not trained again, and a run that was
    killed goes on from its newest checkpoint. On several GPUs: accelerate launch -m toolbench student train … --work
    FOLDER, with a configuration of deployments/accelerate.

    Example: toolbench student train --base ./my-model --epochs 2 --out adapter
    """
    changed = {
        "epochs": epochs, "steps": steps, "learning_rate": learning_rate, "batch_size": batch_size,
        "micro_batch": micro_batch, "max_tokens": max_tokens, "calls": calls, "per_turn": per_turn,
        "give_ups": give_ups, "rank": rank, "alpha": alpha, "dropout": dropout,
        "target_modules": _names(target_modules), "rope": rope, "packing": packing,
        "gradient_checkpointing": gradient_checkpointing, "quantize": quantize, "checkpoint_every": checkpoint_every,
        "evaluate_every": evaluate_every, "patience": patience,
    }  # fmt: skip
    if work is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("Several processes train together: give all of them the same folder with --work.")
    found = settings(lake=lake)
    opened, config = Lake(found.lake), _config(preset, base, {**changed, "seed": found.seed % 2**31})
    entry = _published(opened, config, work)
    if entry is None:
        return  # another process of this run has written it
    typer.echo(f"adapter: {opened.store.url(entry.path)}")
    for folder, write in ((out, _copy), (merged, _merge)):
        if folder:
            typer.echo(write(opened, entry, folder, base))


def _names(layers: str | None) -> str | list[str] | None:
    return layers if layers in (None, "all-linear") else split(layers)


def _config(preset: "Preset", base: str, changed: dict[str, Any]) -> "StudentConfig":
    """Raises UsageError for settings that cannot be."""
    from toolbench.student import StudentConfig

    try:
        return StudentConfig.preset(preset, base, **changed)
    except ValidationError as error:
        raise UsageError(f"It cannot be trained so: {first_fault(error)}.") from error


def _published(lake: Lake, config: "StudentConfig", work: Path | None) -> ModelEntry | None:
    """The student of this configuration, trained unless it was before, as the newest one of the lake; None in all but
    one of several processes."""
    from toolbench.student import finished, specification, train_in_lake
    from toolbench.student.promotion import NEWEST

    view = published(lake, None)
    before = finished(lake, specification(view, config))
    entry = before
    if entry is None:
        with bars() as show:
            entry = train_in_lake(lake, view, config, show, work)
    if entry is None:
        return None
    newest = view.models.get(NEWEST)
    if newest is None or newest.spec != entry.spec:  # else it may have been judged since
        lake.publish(Draft(models={NEWEST: entry}), "finetune-student")
    typer.echo(f"{'unchanged' if before else 'trained'}: {_figures(entry.metrics)}")
    return entry


def merge(
    adapter: Annotated[Path, typer.Argument(help="The folder of an adapter.")],
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    base: Annotated[str | None, typer.Option(help="Where the adapter's base is, if it was moved.")] = None,
) -> None:
    """Write an adapter and its base as one model, for servers that know no adapters.

    Example: toolbench student merge adapter --out model
    """
    from toolbench.student.merge import merge as write

    write(adapter, out, base)
    typer.echo(f"model: {out}")


def _copy(lake: Lake, entry: Any, folder: Path, base: str) -> str:
    try:
        return f"copy: {lake.get_model(entry, folder)}"
    except OSError as error:
        raise ToolbenchError(f"The adapter cannot be copied to {folder} ({error}): name another folder.") from error


def _merge(lake: Lake, entry: Any, folder: Path, base: str) -> str:
    import tempfile

    from toolbench.student.merge import merge as write

    with tempfile.TemporaryDirectory() as adapter:
        write(lake.get_model(entry, Path(adapter)), folder, base)
    return f"merged: {folder}"


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
