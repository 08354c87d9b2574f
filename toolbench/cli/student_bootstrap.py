"""`toolbench student bootstrap`: a base of our own, for places without any."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from toolbench.cli.bars import bars
from toolbench.cli.lake import published
from toolbench.cli.options import Lake as LakeOption
from toolbench.cli.options import Seed, first_fault, settings
from toolbench.errors import UsageError
from toolbench.lake import Lake


def bootstrap(
    out: Annotated[Path, typer.Option(help="A folder for the model.")],
    lake: LakeOption = None,
    preset: Annotated[Literal["1m", "10m", "50m", "150m"], typer.Option(help="About how many parameters.")] = "10m",
    layers: Annotated[int | None, typer.Option(help="Transformer blocks, in place of the preset's.")] = None,
    width: Annotated[int | None, typer.Option(help="Dimensions of a token.")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads.")] = None,
    vocabulary: Annotated[int | None, typer.Option(help="Tokens of the vocabulary at most.")] = None,
    context: Annotated[int | None, typer.Option(help="Positions.")] = None,
    conversations: Annotated[
        Literal["whole", "short"] | None,
        typer.Option(help="Conversations as a student is asked, or without system prompt and functions."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the corpus.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in all, in place of epochs.")] = None,
    block: Annotated[int | None, typer.Option(help="Tokens trained on at once. Without: as many as positions.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Blocks that make a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The peak of the learning rate.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between two checkpoints.")] = None,
    seed: Seed = None,
) -> None:
    """Build a small Llama with a tokenizer and a chat template of its own, and pre-train it on the lake's text.

    It reads API documents, instructions and conversations of the split `train`. It shows that everything works where
    no model can be had; it is no replacement for one. A run that was killed goes on from its newest checkpoint, which
    lies in the folder: the same command again.

    Example: toolbench student bootstrap --preset 10m --out base, then toolbench student train --base base
    """
    from toolbench.student.bootstrap import bootstrap as make
    from toolbench.student.bootstrap_config import BootstrapConfig
    from toolbench.student.corpus import corpus

    found = settings(lake=lake, seed=seed)
    shape = {"layers": layers, "width": width, "heads": heads, "vocabulary": vocabulary, "context": context}
    run = {
        "conversations": conversations, "epochs": epochs, "steps": steps, "block": block, "batch_size": batch_size,
        "learning_rate": learning_rate, "checkpoint_every": checkpoint_every,
    }  # fmt: skip
    try:
        config = BootstrapConfig.preset(preset, **shape, **run, seed=found.seed % 2**31)
    except ValidationError as error:
        raise UsageError(f"The model cannot be built so: {first_fault(error)}.") from error
    opened = Lake(found.lake)
    with bars() as show:
        made = make(corpus(opened, published(opened, None)), config, out, show)
    typer.echo(f"{made.parameters:,} parameters, {made.vocabulary:,} tokens in the vocabulary")
    typer.echo(f"{made.steps} steps over {made.tokens:,} tokens, {made.tokens_per_second:,.0f} tokens/s")
    typer.echo(f"loss {made.loss_first:.3f} at first, {made.loss_last:.3f} at last, in nats a token")
    typer.echo(f"base: {out}")
