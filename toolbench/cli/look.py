"""`toolbench config`, `toolbench report`: see what is set, see what was made."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from toolbench.cli.options import Lake as LakeOption
from toolbench.cli.options import settings
from toolbench.settings import load, table


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(config)
    app.command()(report)


def config() -> None:
    """Print the effective settings, where each comes from, secrets masked.

    Example: TOOLBENCH_SEARCH__WIDTH=3 toolbench config
    """
    out = Table(box=None, pad_edge=False)
    for name in ("setting", "value", "from"):
        out.add_column(name, overflow="fold")
    for row in table(load()):
        out.add_row(*row)
    Console(markup=False, highlight=False).print(out)


def report(
    lake: LakeOption = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("report"),
    samples: Annotated[int, typer.Option(min=1, help="Instructions of each group to read.")] = 12,
    labels: Annotated[
        Path | None, typer.Option(help="People's labels, for a page that compares judges with them (docs/tooleval.md).")
    ] = None,
) -> None:
    """Write an HTML report of a lake: no network, no server, opens from a file. `toolbench view` serves one.

    Example: toolbench report --lake lake --out report
    """
    from toolbench.lake import Lake
    from toolbench.report import build

    typer.echo(str(build(Lake(settings(lake=lake).lake), out, instructions_per_group=samples, labels=labels)))
