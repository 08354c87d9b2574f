"""What `toolbench tooleval` prints and writes."""

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from toolbench.errors import ToolbenchError
from toolbench.records import Reject
from toolbench.tooleval.runs import Checks, EvaluationRun, PassRun, WinRun, dump

_EXAMPLES = 5
_WIDE = 140
_PERCENT = {
    "finish_rate": "final answer given",
    "valid_call_rate": "valid calls",
    "hallucination_rate": "invented functions",
    "api_error_rate": "API errors",
    "argument_validity": "valid arguments",
    "relevant_coverage": "relevant APIs called",
}
_MEANS = {"steps": "steps", "calls": "API calls", "replies": "replies", "tokens": "tokens"}
_TITLES = (*_PERCENT.values(), *_MEANS.values(), "cost")


def show_pass(run: PassRun, *, as_json: bool) -> None:
    """A pass rate as two tables, or as JSON."""
    if as_json:
        typer.echo(dump(run), nl=False)
        return
    rates = Table(box=None, pad_edge=False)
    for name in ("split", "queries", "missing", "pass rate (95%)", "by vote", "variance"):
        rates.add_column(name, justify="left" if name == "split" else "right", no_wrap=True)
    for split in run.splits:
        by_vote = f"{100 * min(split.vote_rates):.1f} to {100 * max(split.vote_rates):.1f}%"
        variance = "" if split.vote_variance is None else f"{split.vote_variance:.4f}"
        rate = split.pass_rate.percent()
        rates.add_row(split.split, f"{split.queries:,}", f"{len(split.missing):,}", rate, by_vote, variance)
    _print(rates)
    typer.echo("")
    counted = Table(box=None, pad_edge=False)
    counted.add_column("without a judge", no_wrap=True)
    for split in run.splits:
        counted.add_column(split.split, justify="right")
    columns = [_figures(split.checks) for split in run.splits]
    for title, *figures in zip(_TITLES, *columns, strict=True):
        counted.add_row(title, *figures)
    _print(counted)
    typer.echo("")
    _say_missing(run)
    if run.test_set == "answers":
        typer.echo("No --instructions were given: the answered queries are the denominator, none can be missing.")
    _say_judge(run)


def _print(table: Table) -> None:
    """In full where nobody looks at a terminal's width."""
    console = Console()
    Console(width=None if console.is_terminal else _WIDE).print(table)


def _say_missing(run: PassRun) -> None:
    missing = run.splits[-1].missing
    if missing:
        more = "" if len(missing) <= _EXAMPLES else f" and {len(missing) - _EXAMPLES:,} more (all of them with --json)"
        typer.echo(f"without an answer, counted as failed: {', '.join(missing[:_EXAMPLES])}{more}")


def _say_judge(run: EvaluationRun) -> None:
    used = run.judging
    judge = run.judge
    typer.echo(f"run      {run.name} ({run.id})")
    typer.echo(f"judge    {judge.model}, {judge.votes} votes, fingerprint {run.fingerprint}")
    tokens = used.input_tokens + used.output_tokens
    typer.echo(f"judging  {used.calls:,} replies, {tokens:,} tokens, ${used.cost:.4f}")


def _figures(checks: Checks) -> list[str]:
    shares = [getattr(checks, name) for name in _PERCENT]
    means = [getattr(checks, name) for name in _MEANS]
    return [
        *("" if share is None else f"{100 * share:.1f}%" for share in shares),
        *("" if mean is None else f"{mean:,.1f}" for mean in means),
        f"${checks.cost:.4f}",
    ]


def show_win(run: WinRun, *, as_json: bool) -> None:
    """A win rate as a table, or as JSON."""
    if as_json:
        typer.echo(dump(run), nl=False)
        return
    table = Table(title=f"{run.name} against {run.against}", title_justify="left", box=None, pad_edge=False)
    table.add_column("split", no_wrap=True)
    for name in ("queries", "won", "tied", "lost", "win rate (95%)", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("decided by")
    for split in run.splits:
        why = ", ".join(f"{name} {count}" for name, count in split.won_by.items())
        counts = [f"{n:,}" for n in (split.queries, split.wins, split.ties, split.losses)]
        table.add_row(split.split, *counts, split.win_rate.percent(), f"{split.p_value:.3f}", why)
    _print(table)
    _say_judge(run)


def say_rejects(rejects: Sequence[Reject], *, quiet: bool) -> None:
    """What counts nowhere: each reason with its count and a few examples, on standard error if `quiet`."""
    reasons: dict[str, list[str]] = {}
    for reject in rejects:
        reasons.setdefault(reject.reason, []).append(reject.detail)
    for reason, details in sorted(reasons.items()):
        typer.echo(f"rejected, {reason}: {len(details):,}", err=quiet)
        for detail in details[:_EXAMPLES]:
            typer.echo(f"  {detail}", err=quiet)


def write_out(run: EvaluationRun, path: Path) -> None:
    """The result as a file. Raises ToolbenchError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dump(run), encoding="utf-8", newline="\n")
    except OSError as error:
        raise ToolbenchError(
            f"The result cannot be written to {path} ({error.strerror}): name another --out."
        ) from None
