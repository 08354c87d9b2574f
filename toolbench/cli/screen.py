"""`toolbench screen`: call every API and say which are fit to be used."""

import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from toolbench.cli import options as o
from toolbench.errors import UsageError
from toolbench.lake import Lake

_LISTED = 20
"""Ids listed of the APIs that were retired or revived."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(screen)


def screen(
    lake: o.Lake = None,
    responses: o.Responses = None,
    categories: o.Categories = None,
    night: Annotated[
        str | None, typer.Option(help="The night it counts as, such as 2025-06-21; without it, today (UTC).")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="A TOML file of words, patterns and limits.")] = None,
    print_rules: Annotated[bool, typer.Option(help="Print the rules that count, to start a file from.")] = False,
    report: o.Report = None,
) -> None:
    """Rate every API of the lake: working, dead, unauthorised, slow, low quality, rate limited, unsuitable, unknown.

    An API that fails several nights in a row is retired, and revived when it works: the flow screen-apis.

    Example: toolbench screen --categories Weather --responses tool_response_cache.tar.gz
    """
    flags = {
        "lake": lake,
        "catalogue__responses": responses,
        "catalogue__categories": o.split(categories),
        "screening__rules": str(rules) if rules else None,
    }
    settings = o.settings(**flags)
    from toolbench.screening import load_rules, shipped_rules

    load_rules(settings.screening.rules)  # wrong rules are said before anything starts
    if print_rules:
        named = settings.screening.rules
        typer.echo(Path(named).expanduser().read_text(encoding="utf-8") if named else shipped_rules(), nl=False)
        return
    _check(night)
    from toolbench.cli.watch import run_flow

    given = o.given(flags)
    run_flow("screen", given, settings, report, night=night or "")
    show(Lake(settings.lake))


def show(lake: Lake) -> None:
    """Print the verdicts of the newest snapshot by category, and the APIs that were retired or revived."""
    from toolbench.report.screening import screening
    from toolbench.screening import changes

    snapshot = lake.snapshot()
    found = screening(lake, snapshot)
    if found is None:
        return
    typer.echo(found.caption)
    table = Table(box=None, pad_edge=False)
    # Verdicts that no API has are left out: a terminal is narrow.
    shown = [n for n in range(len(found.columns)) if any(row[n] != "0" for row in found.rows)]
    for number in shown:
        table.add_column(found.columns[number], justify="right" if number else "left", no_wrap=True)
    for row in found.rows:
        table.add_row(*(row[number] for number in shown))
    Console().print(table)
    for what, ids in changes(lake, snapshot.entries("verdicts")).items():
        more = f" and {len(ids) - _LISTED:,} more" if len(ids) > _LISTED else ""
        typer.echo(f"{what:9s} {len(ids):,}" + (f": {', '.join(ids[:_LISTED])}{more}" if ids else ""))


def _check(night: str | None) -> None:
    try:
        datetime.date.fromisoformat(night or "2025-06-21")
    except ValueError:
        raise UsageError(f"--night {night} is no date: write it as 2025-06-21.") from None
