"""`toolbench tooleval agreement`: how far judges agree with people."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from toolbench.cli import options as o
from toolbench.cli.lake import published
from toolbench.errors import UsageError
from toolbench.lake import Lake

if TYPE_CHECKING:
    from toolbench.statistics import Estimate
    from toolbench.tooleval.agreement import Agreement, JudgeFigures


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(agreement)


def agreement(
    file: Annotated[Path, typer.Argument(help="JSON lines with people's labels and judges' (docs/tooleval.md).")],
    lake: Annotated[str | None, typer.Option(help="Add the verdicts of this lake's judges, by solution.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    page: Annotated[Path | None, typer.Option(help="Write a page on which people and judges differ.")] = None,
) -> None:
    """Compare judges with people: accuracy, Cohen's kappa, balanced accuracy, precision and recall, with intervals.

    A judge without a verdict on an item is wrong there.

    Example: toolbench tooleval agreement judgments.jsonl --page differences.html
    """
    from toolbench.tooleval.agreement import compare
    from toolbench.tooleval.agreement_reading import read, with_lake

    items, kind = read(file)
    settings = o.settings(lake=lake)
    if lake:
        opened = Lake(settings.lake)
        items = with_lake(items, opened, published(opened, None))
    found = compare(items, kind, seed=settings.seed)
    if page:
        from toolbench.report.agreement import differences

        try:
            page.write_text(differences(items, found, file.name), encoding="utf-8", newline="\n")
        except OSError as error:
            raise UsageError(f"The page cannot be written to {page} ({error.strerror}); name another file.") from error
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found), ensure_ascii=False, indent=1))
    else:
        _print(found)
        if page:
            typer.echo(f"page: {page}")


def _print(found: "Agreement") -> None:
    table = Table(box=None, pad_edge=False)
    classes = list(found.labels)
    for column in ("judge", "right", "accuracy %", "kappa", "balanced accuracy %", *(f"{c} P/R %" for c in classes)):
        table.add_column(column, justify="left" if column == "judge" else "right")
    table.add_column("missing", justify="right")
    for f in (*found.judges, found.baseline):
        table.add_row(
            f.judge,
            f"{f.right}/{f.items}",
            _number(f.accuracy, 100, 2),
            _number(f.kappa, 1, 2),
            _number(f.balanced_accuracy, 100, 1),
            *(_precision_recall(f, label) for label in classes),
            str(len(f.missing)),
        )
    Console(width=160, highlight=False, markup=False).print(table)
    typer.echo(f"people: {', '.join(f'{label} {count}' for label, count in found.labels.items())}")
    for name, value in (("people", found.alpha_people), ("judges", found.alpha_judges)):
        if value:
            typer.echo(f"Krippendorff's alpha among {name}: {_number(value, 1, 2)}")
    for name, ids in (("without a label of people", found.unlabelled), ("on which people are split", found.split)):
        if ids:
            typer.echo(f"{len(ids)} items {name}, not compared: {_listed(ids)}")
    for f in found.judges:
        if f.missing:
            typer.echo(f"{f.judge} has no verdict on {len(f.missing)} items, counted as wrong: {_listed(f.missing)}")


def _number(value: "Estimate | None", times: int, digits: int) -> str:
    if value is None:
        return "–"
    return f"{times * value.mean:.{digits}f} ({times * value.low:.{digits}f} to {times * value.high:.{digits}f})"


def _precision_recall(figures: "JudgeFigures", label: str) -> str:
    one = next((c for c in figures.classes if c.label == label), None)
    values = (one.precision, one.recall) if one else (None, None)
    return " / ".join("–" if v is None else f"{100 * v:.0f}" for v in values)


def _listed(ids: list[str]) -> str:
    return ", ".join(ids[:20]) + (" …" if len(ids) > 20 else "")
