"""`toolbench tooleval results`: figures from result files that ToolEval or StableToolBench wrote."""

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from toolbench.errors import SourceError, UsageError
from toolbench.statistics import Estimate, bootstrap, sign_test


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("results")(results)


def results(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Pass-rate results, or preferences: one a split.")
    ],
    reference: Annotated[str | None, typer.Option(help="Of preferences: the run that was compared with.")] = None,
    output: Annotated[str | None, typer.Option(help="Of preferences: the run whose win rate is wanted.")] = None,
    unsure: Annotated[float, typer.Option(min=0, max=1, help="What an unsure verdict counts.")] = 0.5,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Pass or win rates of files that ToolEval wrote, by our rules: unsure counts half, never by chance; ties half.

    With --reference and --output the files are preferences. The denominator is the queries of the file: which ones are
    missing it does not say.

    Example: toolbench tooleval results pass_rate/G1_instruction_chatgpt_dfs.json
    """
    if (reference is None) != (output is None):
        raise UsageError("Preferences need both names: give --reference and --output as the files have them.")
    points: dict[str, dict[str, float]] = {}
    for path in files:
        points[path.stem] = _points(_read(path), str(path), reference, output, unsure)
    rows = {name: _row(found) for name, found in points.items()}
    if len(rows) > 1:
        rows["all"] = _row({f"{name}/{i}": value for name, found in points.items() for i, value in found.items()})
    if json_:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("file", "queries", "win rate (95%)" if output else "pass rate (95%)", *(["p"] if output else [])):
        table.add_column(column, justify="left" if column == "file" else "right", no_wrap=True)
    for name, row in rows.items():
        rate = Estimate(row["rate"], row["low"], row["high"], row["queries"], row["queries"]).percent()
        table.add_row(name, f"{row['queries']:,}", rate, *([f"{row['p_value']:.3g}"] if output else []))
    Console().print(table)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"The results {path} cannot be read ({error.strerror}): name a file that ToolEval wrote."
        ) from None
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no JSON ({error}): give a file that ToolEval wrote.") from None


def _points(document: Any, where: str, reference: str | None, output: str | None, unsure: float) -> dict[str, float]:
    """By query id, 0 to 1: the mean over the votes, or what the preferences come to."""
    from toolbench.tooleval.results import read_pass_results, read_preference_results, read_task_statuses
    from toolbench.tooleval.rules import decide
    from toolbench.tooleval.rules import points as worth

    if reference is not None and output is not None:
        found = read_preference_results(document, reference, output, where)
    else:
        votes = read_pass_results(document, where)
        tasks = read_task_statuses(document)
        found = {
            query: statistics.fmean(worth(decide(status, tasks[query]), unsure) for status in cast.values())
            if cast
            else 0.0
            for query, cast in votes.items()
        }
    if not found:
        raise SourceError(f"{where} has no query: nothing can be counted.")
    return found


def _row(points: Mapping[str, float]) -> dict[str, Any]:
    values = list(points.values())
    rate = bootstrap(values)
    if rate is None:
        raise ValueError("there are no points")
    wins, losses = sum(v > 0.5 for v in values), sum(v < 0.5 for v in values)
    figures = {"rate": rate.mean, "low": rate.low, "high": rate.high, "p_value": sign_test(wins, losses)}
    return {"queries": len(values), **figures}
