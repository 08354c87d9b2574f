"""`toolbench export`: what the lake holds as files that other programs read."""

from pathlib import Path
from typing import Annotated

import typer

from toolbench.cli import options as o
from toolbench.cli.export_answers import answers
from toolbench.cli.lake import Number, published
from toolbench.errors import UsageError
from toolbench.lake import Lake
from toolbench.records import Split

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Write what the lake holds as files that other programs read."
)

_SPLITS: dict[str, Split] = {"train": "train", "instruction": "instruction", "tool": "tool", "category": "category"}


@app.command("instructions")
def instructions(
    out: Annotated[Path, typer.Option(help="The folder to write to; made if it is not there.")],
    lake: o.Lake = None,
    split: Annotated[
        str | None, typer.Option(help="Only these: train, or held out by instruction, tool or category.")
    ] = None,
    snapshot: Number = None,
) -> None:
    """Write the instructions as ToolBench's query files, one a group, and its test files for what is held out.

    Example: toolbench export instructions --out queries --split train
    """
    from toolbench.instructions.export import export

    if split is not None and split not in _SPLITS:
        raise UsageError(f"There is no split {split!r}; choose one of {', '.join(_SPLITS)}.")
    opened = Lake(o.settings(lake=lake).lake)
    found = published(opened, snapshot)
    done = export(opened, found, out, _SPLITS[split] if split else None)
    for name, count in done.written.items():
        typer.echo(f"{name:22s} {count:9,}")
    if done.left_out:
        typer.echo(f"{done.left_out:,} were left out: they need APIs that the catalogue does not have any more")
    if done.namesakes:
        typer.echo(f"{done.namesakes:,} offer APIs of the same tool and name, which these files cannot tell apart")
    typer.echo(f"snapshot {found.number}, {sum(done.written.values()):,} instructions in {out}")


app.command("answers")(answers)


@app.command("retrieval")
def retrieval(
    out: Annotated[Path, typer.Option(help="The folder to write to; made if it is not there.")],
    lake: o.Lake = None,
    snapshot: Number = None,
) -> None:
    """Write the retrieval pairs as ToolBench's retrieval data: the corpus of all APIs, queries and relevance labels.

    Example: toolbench export retrieval --out retrieval
    """
    from toolbench.instructions.native_documents import document
    from toolbench.records import Api, RetrievalPair
    from toolbench.retriever.layout import write

    opened = Lake(o.settings(lake=lake).lake)
    found = published(opened, snapshot)
    if not found.rows(RetrievalPair.TABLE):
        raise UsageError(f"Snapshot {found.number} of {opened.uri} has no retrieval pairs: run `toolbench refresh`.")
    documents = {api.id: document(api) for api in opened.rows(found, Api)}
    for name, count in write(out, documents, opened.rows(found, RetrievalPair)).items():
        typer.echo(f"{name:22s} {count:9,}")
    typer.echo(f"snapshot {found.number}, retrieval data in {out}")
