"""`toolbench import`: APIs into the lake, from whatever form they come in. No flow, no teacher, no Prefect."""

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from toolbench import holdout
from toolbench.cli import options as o
from toolbench.lake import Draft, Lake, Outcome
from toolbench.records import Reject
from toolbench.settings import Settings

_EXAMPLES = 3


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("import")(import_)


def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE…",
            help="A ToolBench toolenv folder or tarball, OpenAPI or Swagger documents, Postman collections, MCP tool "
            "lists (a file, a folder, a URL), or a live MCP server (stdio:COMMAND or its URL).",
        ),
    ],
    lake: o.Lake = None,
    category: Annotated[str | None, typer.Option(help="The category of APIs whose source names none.")] = None,
    categories: o.Categories = None,
) -> None:
    """Read APIs into the lake, and say what was added, changed, removed and rejected, and why.

    A source that was imported before is compared with what it was then; other sources are left alone.

    Example: toolbench import toolenv.tar.gz ./openapi "stdio:npx -y @modelcontextprotocol/server-everything"
    """
    from toolbench.catalogue import source_label

    settings = [o.settings(lake=lake, catalogue__source=s, catalogue__categories=o.split(categories)) for s in sources]
    opened = Lake(settings[0].lake)
    opened.id  # noqa: B018 - a lake that cannot be written says so before anything is read
    draft = Draft()
    outcomes = [_bring_in(opened, draft, wanted, category or "") for wanted in settings]
    if opened.changes(draft, opened.snapshot()):
        holdout.check(opened, draft.view(opened.snapshot()))
        opened.add_runs(draft)
    snapshot = opened.publish(draft, "import")
    _tell(opened, [source_label(s) for s in settings], outcomes)
    typer.echo(f"lake {opened.uri}: snapshot {snapshot.number}, {snapshot.rows('apis'):,} APIs")


def _bring_in(lake: Lake, draft: Draft, settings: Settings, category: str) -> Outcome:
    from toolbench import catalogue

    started = time.monotonic()
    receipts, reused = catalogue.collect(lake, settings, category)
    changed = catalogue.settle(lake, draft, settings, receipts)
    outcome = Outcome(catalogue.STAGE, receipts, reused, time.monotonic() - started, changed.counts)
    outcome.add_to(draft, flow="import", main="apis", tables=catalogue.TABLES, model="")
    return outcome


def _tell(lake: Lake, labels: list[str], outcomes: list[Outcome]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("source", overflow="fold")
    columns = ("tools", "APIs", "rejected", "added", "changed", "removed", "unchanged", "seconds")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for label, outcome in zip(labels, outcomes, strict=True):
        figures = {
            "tools": sum(r.tables["tools"].rows for r in outcome.receipts if "tools" in r.tables),
            "APIs": sum(r.passed_on for r in outcome.receipts),
            "rejected": sum(r.rejected for r in outcome.receipts),
            **outcome.outcomes,
        }
        table.add_row(label, *(f"{figures[name]:,}" for name in columns[:-1]), f"{outcome.seconds:.1f}")
    Console().print(table)
    for outcome in outcomes:
        _tell_rejects(lake, outcome)


def _tell_rejects(lake: Lake, outcome: Outcome) -> None:
    """Each reason with its count and a few examples; all of them are in the table `rejects`."""
    entries = [r.tables["rejects"] for r in outcome.receipts if "rejects" in r.tables]
    shown: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for row in lake.read(entries, Reject):
        counts[row.reason] = counts.get(row.reason, 0) + 1
        shown.setdefault(row.reason, [])
        if len(shown[row.reason]) < _EXAMPLES:
            shown[row.reason].append(row.detail)
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        typer.echo(f"rejected, {reason}: {count:,}")
        for detail in shown[reason]:
            typer.echo(f"  {detail}")
