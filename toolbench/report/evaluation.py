"""ToolEval's results that the lake holds: pass rates, win rates, effort, as tables and bars."""

from collections.abc import Sequence
from dataclasses import dataclass

from toolbench.lake import Lake, Snapshot
from toolbench.records import Evaluation
from toolbench.report.charts import Bars, Share, bars
from toolbench.report.leaderboard import judges, tables
from toolbench.report.scan import query
from toolbench.report.tabular import Table
from toolbench.tooleval.leaderboard import Board, board
from toolbench.tooleval.runs import Rate
from toolbench.tooleval.storing import runs_of


@dataclass(frozen=True, slots=True)
class Evaluations:
    """What the page shows."""

    tables: Sequence[Table]
    charts: Sequence[Bars]
    judges: Sequence[str]
    mixed: bool
    """Rows were judged by different judges."""


def evaluations(lake: Lake, snapshot: Snapshot) -> Evaluations | None:
    """All results of a snapshot side by side; None if it has none. Raises SourceError if one cannot be read."""
    if not snapshot.rows(Evaluation.TABLE):
        return None
    found = board(runs_of(lake, snapshot), allow_different_judges=True)
    select = (
        "SELECT name, kind, method, model, fingerprint, queries, rate, document FROM {evaluations} ORDER BY name, kind"
    )
    sql = query(lake, snapshot, [Evaluation.TABLE], select)
    shown = [Table(title, columns, rows, sql) for title, columns, rows in tables(found)]
    drawn = [_passed(found), *(_won(found, n, reference) for n, reference in enumerate(found.references))]
    return Evaluations(shown, [chart for chart in drawn if chart], judges(found), found.mixed)


def _passed(found: Board) -> Bars | None:
    groups = {
        split: {row.name: _share(cell.passed) for row in found.rows if (cell := row.cells.get(split)) and cell.passed}
        for split in found.splits
    }
    return bars("passed", "Pass rate", groups)


def _won(found: Board, number: int, reference: str) -> Bars | None:
    groups = {
        split: {
            row.name: _share(cell.wins[reference])
            for row in found.rows
            if (cell := row.cells.get(split)) and reference in cell.wins
        }
        for split in found.splits
    }
    return bars(f"won-{number}", f"Win rate against {reference}", groups)


def _share(rate: Rate) -> Share:
    return Share(rate.mean, rate.low, rate.high)
