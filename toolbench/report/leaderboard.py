"""The leaderboard as a page and as Markdown."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from toolbench.report.pages import render
from toolbench.report.tabular import dollars
from toolbench.tooleval.leaderboard import Board, Row
from toolbench.tooleval.runs import Rate


def page(board: Board, plots: Mapping[str, bytes], published: Sequence[Mapping[str, Any]] = ()) -> str:
    """The page as HTML, plots (SVG) within it; `published`: figures of others, shown apart from ours."""
    pictures = {name: base64.b64encode(data).decode() for name, data in sorted(plots.items(), reverse=True)}
    return render(
        "leaderboard", board=board, tables=tables(board), pictures=pictures, published=published, judges=judges(board)
    )


def markdown(board: Board) -> str:
    """The tables as Markdown, one newline at the end; what would be markup in a name is escaped."""
    parts = []
    for title, columns, rows in tables(board):
        lines = [f"**{_plain(title)}**", "", _line(columns), _line(["---", *["---:"] * (len(columns) - 1)])]
        parts.append("\n".join([*lines, *(_line(row) for row in rows)]))
    notes = [f"Judge: {_plain(', '.join(judges(board)))}."]
    if board.mixed:
        notes.append("**Rows were judged by different judges: their figures cannot be compared.**")
    return "\n\n".join([*parts, *notes]) + "\n"


def judges(board: Board) -> list[str]:
    """Every judge there is, as `model fingerprint`."""
    return sorted({f"{row.judge} {print_}" for row in board.rows for print_ in row.fingerprints.values()})


def tables(board: Board) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, columns and rows of text of each table."""
    judge = ["judge"] if board.mixed else []
    by = [
        [row.name, *([" ".join(dict.fromkeys(row.fingerprints.values()))] if board.mixed else [])] for row in board.rows
    ]
    found = []
    if any(cell.passed for row in board.rows for cell in row.cells.values()):
        rows = [
            [*head, *(_pass(row, split) for split in board.splits)] for head, row in zip(by, board.rows, strict=True)
        ]
        found.append(("Pass rate, % (95% interval)", ["method", *judge, *board.splits], rows))
    for reference in board.references:
        rows = [
            [*head, *(_win(row, split, reference) for split in board.splits)]
            for head, row in zip(by, board.rows, strict=True)
            if any(reference in cell.wins for cell in row.cells.values())
        ]
        found.append((f"Win rate against {reference}, %", ["method", *judge, *board.splits], rows))
    columns = [
        "method",
        *judge,
        "queries",
        "unanswered",
        "passed",
        "API calls",
        "replies",
        "cost",
        "cost per passed query",
    ]
    found.append(("Effort", columns, [[*head, *_effort(row)] for head, row in zip(by, board.rows, strict=True)]))
    return found


def _pass(row: Row, split: str) -> str:
    cell = row.cells.get(split)
    return _rate(cell.passed) if cell and cell.passed else "–"


def _win(row: Row, split: str, reference: str) -> str:
    cell = row.cells.get(split)
    return _rate(cell.wins[reference]) if cell and reference in cell.wins else "–"


def _rate(rate: Rate) -> str:
    return rate.percent().replace("%", "")


def _effort(row: Row) -> list[str]:
    cell = row.cells.get("all")
    return [
        f"{cell.queries:,}" if cell else "–",
        f"{cell.missing:,}" if cell else "–",
        f"{row.passed:,}",
        "–" if row.calls is None else f"{row.calls:.1f}",
        "–" if row.replies is None else f"{row.replies:.1f}",
        "–" if row.cost is None else dollars(row.cost),
        "–" if row.cost_per_passed is None else dollars(row.cost_per_passed),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """One line in which nothing is markup: names come from files."""
    escaped = "".join(f"\\{c}" if c in "\\`*_[]|#!" else c for c in " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
