"""`toolbench lake`: look into a lake, and clean it up."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from toolbench.cli.options import Lake as LakeOption
from toolbench.cli.options import settings
from toolbench.errors import LakeError
from toolbench.lake import Lake, Snapshot, known_table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look into a lake, and clean it up.")

Number = Annotated[int | None, typer.Option(help="A snapshot by its number; the newest without it.")]


@app.command("ls")
def ls(lake: LakeOption = None, snapshot: Number = None) -> None:
    """List the tables of a snapshot: rows, files, bytes.

    Example: toolbench lake ls --lake s3://bucket/factory
    """
    opened = Lake(settings(lake=lake).lake)
    found = published(opened, snapshot)
    table = Table(title=f"{opened.uri}: snapshot {found.number} of {found.created_at}", title_justify="left")
    for name, justify in (("table", "left"), ("rows", "right"), ("files", "right"), ("bytes", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, entries in found.tables.items():
        table.add_row(name, f"{found.rows(name):,}", str(len(entries)), f"{sum(e.bytes for e in entries):,}")
    Console().print(table)
    for name, model in found.models.items():
        typer.echo(f"model {name}: {opened.store.url(model.path)}")
    numbers = opened.numbers()
    typer.echo(f"{len(numbers)} snapshots, {numbers[0]} to {numbers[-1]}")


@app.command("show")
def show(
    table: Annotated[str, typer.Argument(help="The table's name.")],
    lake: LakeOption = None,
    snapshot: Number = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 5,
    files: Annotated[bool, typer.Option("--files", help="Print the files' addresses, for other programs.")] = False,
) -> None:
    """Print rows of a table as JSON lines, checksums verified.

    Example: toolbench lake show solutions --limit 1
    """
    opened = Lake(settings(lake=lake).lake)
    record = known_table(table)
    entries = published(opened, snapshot).entries(table)
    if files:
        typer.echo("\n".join(opened.store.url(e.path) for e in entries))
        return
    left = limit
    for entry in entries:
        for row in opened.table(entry, record).slice(0, left).to_pylist():
            typer.echo(json.dumps(row, ensure_ascii=False))
            left -= 1
        if left <= 0:
            return


@app.command("diff")
def diff(
    lake: LakeOption = None,
    since: Annotated[int | None, typer.Option(help="The earlier snapshot; the one before without it.")] = None,
    snapshot: Number = None,
) -> None:
    """Print the APIs that a snapshot added (+), changed (~) and removed (-), one a line.

    Example: toolbench lake diff --since 3
    """
    from toolbench.catalogue import changes

    opened = Lake(settings(lake=lake).lake)
    after = published(opened, snapshot)
    earlier = [n for n in opened.numbers() if n < after.number]
    before = published(opened, since) if since is not None else opened.snapshot(earlier[-1] if earlier else 0)
    # APIs that came with a file of instructions are there for these alone.
    old, new = ([e for e in s.entries("apis") if "source" in e.partition] for s in (before, after))
    found = changes(opened, old, new)
    for mark, ids in (("+", found.added), ("~", found.changed), ("-", found.removed)):
        for name in ids:
            typer.echo(f"{mark} {name}")
    said = ", ".join(f"{count:,} {what}" for what, count in found.counts.items())
    typer.echo(f"snapshot {before.number} to {after.number}: {said}")


@app.command("gc")
def gc(
    lake: LakeOption = None,
    keep: Annotated[int, typer.Option(min=1, help="Newest snapshots that stay readable.")] = 3,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove; without it the command only says what it would do.")
    ] = False,
) -> None:
    """Remove what none of the newest snapshots refers to. Run it while no flow is running.

    Example: toolbench lake gc --keep 3 --yes
    """
    opened = Lake(settings(lake=lake).lake)
    published(opened, None)
    found = opened.collect_garbage(keep) if yes else opened.garbage(keep)
    verb = "removed" if yes else "would remove (add --yes)"
    typer.echo(f"{verb} {len(found)} files, {sum(size for _, size in found):,} bytes")


def published(lake: Lake, number: int | None) -> Snapshot:
    """A published snapshot, the newest by default. Raises LakeError if there is none, or not this one."""
    numbers = lake.numbers()
    if not numbers:
        raise LakeError(
            f"Nothing was published to {lake.uri} yet: run `toolbench refresh` first or name another --lake."
        )
    if number is not None and number not in numbers:
        raise LakeError(f"{lake.uri} has no snapshot {number}; it has {numbers[0]} to {numbers[-1]}.")
    return lake.snapshot(number)
