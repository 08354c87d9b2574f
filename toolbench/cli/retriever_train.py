"""`toolbench retriever train`: from the lake, or from files, into the lake or a folder."""

from pathlib import Path
from typing import Annotated

import typer

from toolbench.cli import options as o
from toolbench.cli.bars import bars
from toolbench.cli.lake import published
from toolbench.errors import ToolbenchError, UsageError
from toolbench.lake import Draft, Lake, Snapshot
from toolbench.retriever.config import Preset, RetrieverConfig


def train(
    lake: o.Lake = None,
    pairs: Annotated[
        str | None, typer.Option(help="Retrieval data, or a file of queries with relevant APIs. Without: the lake's.")
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help="The APIs, where pairs only name theirs: lake, or a catalogue's path.")
    ] = None,
    test: Annotated[str | None, typer.Option(help="Test instructions that are held out and measured.")] = None,
    preset: Annotated[
        Preset | None, typer.Option(help="With --out: paper is ToolLLM's recipe, ours (the default) a better one.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="With --out: the encoder to start from, a folder or a name.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for the model. Without: the lake, if it is good.")] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="With --out: a folder from which a run that was killed goes on.")
    ] = None,
) -> None:
    """Train a retriever. Without --out: as settings say, and it serves from now on unless it is worse than the old one.

    Example: toolbench retriever train --pairs G3_train.json --corpus toolenv.tar.gz --preset ours --out model
    """
    if out is None:
        if pairs or corpus or test or preset or base or checkpoints:
            raise UsageError("Without --out the lake's pairs and settings decide: give --out FOLDER for a model apart.")
        _in_lake(lake)
        return
    config = RetrieverConfig.preset(preset or "ours", **({"base": base} if base else {}))
    _apart(lake, pairs, corpus, test, config, out, checkpoints)


def _in_lake(lake: str | None) -> None:
    from toolbench.retriever import choose, finished, specification, train_in_lake

    settings = o.settings(lake=lake)
    opened = Lake(settings.lake)
    snapshot = published(opened, None)
    spec = specification(opened, snapshot, settings)
    with bars() as show:
        before = finished(opened, spec)
        newest = before or train_in_lake(opened, snapshot, settings, show)
        chosen = choose(opened, snapshot, newest, settings, show)
    after = opened.publish(Draft(models=chosen.models), "train-retriever")
    typer.echo("trained before, on the same pairs" if before else "trained")
    typer.echo(chosen.decision.sentence())
    typer.echo(f"snapshot {after.number}")


def _apart(
    lake: str | None,
    pairs: str | None,
    corpus: str | None,
    test: str | None,
    config: RetrieverConfig,
    out: Path,
    checkpoints: Path | None,
) -> None:
    from toolbench.cli.retrieval_data import training_of
    from toolbench.retriever.leakage import held_out, without_held_out
    from toolbench.retriever.train import train as fit

    settings = o.settings(lake=lake)
    opened = Lake(settings.lake)
    snapshot = published(opened, None) if pairs is None or corpus == "lake" else Snapshot()
    found = training_of(opened, snapshot, pairs, corpus, test)
    if not found.pairs:
        raise ToolbenchError("No pair can be used: no query names an API that the corpus has.")
    config = config.model_copy(update={"seed": settings.seed % 2**31})
    measured = [p for p in found.pairs if p.split != "train"]
    training, dropped = without_held_out([p for p in found.pairs if p.split == "train"], held_out(measured))
    told = f"{len(training):,} pairs to train on, {len(found.searched):,} APIs searched, {found.unusable:,} not usable"
    leaking = "".join(f", {count:,} {what}" for what, count in sorted(dropped.items()) if count)
    typer.echo(f"{told}{f'; held out from training{leaking}' if leaking else ''}", err=True)
    with bars() as show:
        result = fit(
            [*training, *measured], found.searched, config, out, show, catalogue=found.corpus, checkpoints=checkpoints
        )
    for when, metrics in (("before", result.metrics_before), ("after", result.metrics_after)):
        for name, figures in {"all": metrics["all"], **metrics["group"]}.items() if metrics else ():
            typer.echo(f"{when:7s} {name:5s} NDCG@5 {100 * figures['ndcg@5']['mean']:.1f}")
    typer.echo(f"model: {out}")
