"""`toolbench instruct`: write instructions for the lake's APIs, or only say which combinations would be sampled."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from toolbench.cli import options as o
from toolbench.errors import UsageError
from toolbench.lake import Lake
from toolbench.settings import Settings

if TYPE_CHECKING:
    from toolbench.instructions.coverage import Coverage

_LISTED = 20
"""Rows of each group that are shown, the largest first; the sums count all."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(instruct)


def instruct(
    lake: o.Lake = None,
    categories: o.Categories = None,
    groups: o.Groups = None,
    instructions: Annotated[int | None, typer.Option(min=1, help="Instructions aimed at.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be sampled, and covers.")] = False,
    combinations: Annotated[
        int | None, typer.Option(min=1, help="With --dry-run: combinations to sample, whatever --instructions says.")
    ] = None,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
    seed: o.Seed = None,
    report: o.Report = None,
) -> None:
    """Write instructions for the APIs that the lake has: the flow generate-instructions.

    Combinations whose APIs did not change keep what was written for them; the teacher is asked for new ones alone.

    Example: toolbench instruct --groups I1,I2,I3 --instructions 1000 --dry-run
    """
    flags = {
        "lake": lake,
        "catalogue__categories": o.split(categories),
        "instructions__groups": o.split(groups),
        "instructions__total": instructions,
        "teacher__model": model,
        "teacher__base_url": base_url,
        "seed": seed,
    }
    settings = o.settings(**flags)
    if combinations is not None and not dry_run:
        raise UsageError("--combinations belongs to --dry-run; say how many --instructions to write.")
    if dry_run:
        preview(settings, combinations)
        return
    from toolbench.cli.watch import run_flow

    given = o.given(flags)
    run_flow("instruct", given, settings, report)


def preview(settings: Settings, count: int | None) -> None:
    """Print how many combinations would be drawn for an empty lake, and the coverage table."""
    from toolbench import instructions

    lake = Lake(settings.lake)
    view = lake.snapshot()
    known = {e.partition["category"] for e in view.entries("apis") if "source" in e.partition}
    if not known:
        raise UsageError(f"The lake {lake.uri} has no APIs yet: run `toolbench import` or `toolbench refresh` first.")
    wanted = settings.catalogue.categories or tuple(sorted(known))
    if missing := sorted(set(wanted) - known):
        raise UsageError(f"The lake {lake.uri} has no APIs of category {missing[0]!r}.")
    total = count or -(-settings.instructions.total // settings.instructions.per_combination)
    drawn, rows = instructions.preview(lake, view, settings, categories=wanted, count=total)
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for number, name in enumerate(("group", "category", "drawn", "APIs", "tools", "pairs")):
        table.add_column(
            name, justify="right" if number > 1 else "left", no_wrap=True, ratio=1 if number == 1 else None
        )
    for group in sorted({row.group for row in rows}):
        mine = sorted((r for r in rows if r.group == group), key=lambda r: (-r.of_apis, r.topic))
        for row in mine[:_LISTED]:
            table.add_row(*_cells(row.topic, [row]))
        more = f", {len(mine) - _LISTED} of them not shown" if len(mine) > _LISTED else ""
        table.add_row(*_cells(f"all {len(mine)}{more}", mine))
    Console().print(table)
    apis = {api for combination in drawn for api in combination.apis}
    every = {e.partition["category"] for e in view.entries("apis")} & set(wanted)
    typer.echo(f"{len(drawn):,} distinct combinations, {len(apis):,} APIs, {len(every)} categories; nobody was asked")


def _cells(topic: str, rows: "Sequence[Coverage]") -> list[str]:
    """Sums over some rows of a group; of the pairs of tools the share that is in a combination together."""
    apis, of_apis = sum(r.apis for r in rows), sum(r.of_apis for r in rows)
    tools, of_tools = sum(r.tools for r in rows), sum(r.of_tools for r in rows)
    pairs, of_pairs = sum(r.pairs for r in rows), sum(r.of_pairs for r in rows)
    return [
        rows[0].group,
        topic,
        f"{sum(r.combinations for r in rows):,}",
        f"{apis:,}/{of_apis:,}",
        f"{tools:,}/{of_tools:,}",
        f"{100 * pairs / of_pairs:.1f}%" if of_pairs else "",
    ]
