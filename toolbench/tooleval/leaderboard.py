"""The leaderboard: stored evaluations side by side, methods by splits. Nothing is judged or counted anew."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from toolbench.errors import SourceError, UsageError
from toolbench.plots import Format, Point, scatter
from toolbench.tooleval.runs import EvaluationRun, PassRun, Rate, SplitResult, WinRun, check_same_judge, load

ALL = "all"


@dataclass(frozen=True, slots=True)
class Cell:
    """One method on one split."""

    passed: Rate | None
    """None where only a win rate is stored."""
    queries: int
    missing: int
    """Queries without an answer, which are among `queries` and failed."""
    wins: dict[str, Rate]
    """Win rate by the name of the run it is against; ties are half."""
    p_values: dict[str, float]
    """Sign test of wins against losses, by the name of the run it is against."""


@dataclass(frozen=True, slots=True)
class Row:
    """One method."""

    name: str
    run: str
    """Id of its stored pass rate."""
    method: str
    model: str
    judge: str
    """The judge's model."""
    fingerprints: dict[str, str]
    """Of the judge of its pass rate (`pass`) and of its win rates (`win`)."""
    cells: dict[str, Cell]
    """By split."""
    calls: float | None
    """API calls an answered query."""
    replies: float | None
    """Replies of the model an answered query."""
    passed: int
    """Queries that passed, over all splits."""
    cost: float | None
    """US dollars of all searches."""
    cost_per_passed: float | None
    """US dollars of all searches for each query that passed; None where none did."""


@dataclass(frozen=True, slots=True)
class Board:
    """Rows with the best pass rate first."""

    splits: list[str]
    """By name, `all` last."""
    references: list[str]
    """Names of the runs that win rates are against."""
    rows: list[Row]
    mixed: bool
    """True if rows were judged by different judges, which was asked for."""

    def as_json(self) -> str:
        """The board as a JSON document; equal boards give equal bytes."""
        rows = [
            {**asdict(row), "cells": {split: _cell(cell) for split, cell in row.cells.items()}} for row in self.rows
        ]
        document = {"format": 1, "splits": self.splits, "references": self.references, "mixed": self.mixed}
        return json.dumps({**document, "rows": rows}, ensure_ascii=False, indent=1) + "\n"


def find(paths: Sequence[Path]) -> list[EvaluationRun]:
    """The runs in files and folders (their `*.json`), each once. Raises SourceError if there is none."""
    found = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    runs = {(run.kind, run.id): run for run in map(load, found)}
    if not runs:
        raise SourceError(
            f"{', '.join(map(str, paths)) or 'Nothing'} holds no stored evaluation: `toolbench tooleval pass` and "
            "`toolbench tooleval win` write them with --out."
        )
    return list(runs.values())


def published() -> list[dict[str, Any]]:
    """Figures of the paper, with their source; their fingerprint is no judge's of ours."""
    text = files("toolbench.tooleval").joinpath("published.json").read_text(encoding="utf-8")
    tables: list[dict[str, Any]] = json.loads(text)["tables"]
    return tables


def board(runs: Sequence[EvaluationRun], *, allow_different_judges: bool = False) -> Board:
    """A row for each method. Raises UsageError if judges differ and nobody asked for that, or there is no run."""
    if not runs:
        raise UsageError("A leaderboard needs at least one stored evaluation.")
    check_same_judge(runs, allow=allow_different_judges)
    passes = {run.id: run for run in runs if isinstance(run, PassRun)}
    wins: dict[str, list[WinRun]] = {}
    for run in runs:
        if isinstance(run, WinRun):
            wins.setdefault(run.run, []).append(run)
    ids = list(dict.fromkeys([*passes, *wins]))
    names = _names({i: (passes[i] if i in passes else wins[i][0]).name for i in ids})
    rows = [_row(i, names, passes.get(i), wins.get(i, [])) for i in ids]
    splits = {split for row in rows for split in row.cells}
    kinds = [{run.fingerprint for run in runs if run.kind == kind} for kind in ("pass", "win")]
    return Board(
        sorted(splits, key=lambda split: (split == ALL, split)),
        sorted({reference for row in rows for cell in row.cells.values() for reference in cell.wins}),
        sorted(rows, key=lambda row: (-_overall(row), row.name, row.run)),
        any(len(fingerprints) > 1 for fingerprints in kinds),
    )


def plots(found: Board, form: Format = "svg") -> dict[str, bytes]:
    """File stem → picture: pass rate against win rate (ToolLLM's figure 2), and against API calls an answer took.

    A picture that no row has figures for is left out.
    """
    made = {}
    for reference in found.references:
        points = {
            row.name: [_point(100 * win.mean, rate, 100 * win.low, 100 * win.high)]
            for row in found.rows
            if (cell := row.cells.get(ALL)) and (rate := cell.passed) and (win := cell.wins.get(reference))
        }
        if points:
            stem = "pass_win" if len(found.references) == 1 else f"pass_win_{found.references.index(reference) + 1}"
            title = f"Pass rate and win rate against {reference}"
            made[stem] = scatter(points, title=title, x="win rate, %", y="pass rate", form=form, percent=True)
    points = {
        row.name: [_point(row.calls, rate)]
        for row in found.rows
        if (cell := row.cells.get(ALL)) and (rate := cell.passed) and row.calls is not None
    }
    if points:
        title = "Pass rate and API calls"
        made["pass_calls"] = scatter(
            points, title=title, x="API calls per answered query", y="pass rate", form=form, percent=True
        )
    return made


def _row(run: str, names: dict[str, str], passed: PassRun | None, wins: Sequence[WinRun]) -> Row:
    whole = passed or wins[0]
    results = {result.split: result for result in passed.splits} if passed else {}
    splits = list(dict.fromkeys([*results, *(result.split for win in wins for result in win.splits)]))
    checks = results[ALL].checks if ALL in results else None
    count = sum(query.verdict == "passed" for query in passed.queries) if passed else 0
    cost = checks.cost if checks else None
    fingerprints = {"pass": passed.fingerprint} if passed else {}
    if wins:
        fingerprints["win"] = ", ".join(sorted({win.fingerprint for win in wins}))
    return Row(
        names[run],
        run,
        whole.method,
        whole.model,
        whole.judge.model,
        fingerprints,
        {split: _of_split(split, results.get(split), wins, names) for split in splits},
        checks.calls if checks else None,
        checks.replies if checks else None,
        count,
        cost,
        cost / count if cost is not None and count else None,
    )


def _of_split(split: str, result: SplitResult | None, wins: Sequence[WinRun], names: dict[str, str]) -> Cell:
    compared = {
        names.get(win.reference, win.against): found for win in wins for found in win.splits if found.split == split
    }
    return Cell(
        result.pass_rate if result else None,
        result.queries if result else max((found.queries for found in compared.values()), default=0),
        len(result.missing) if result else 0,
        {name: found.win_rate for name, found in sorted(compared.items())},
        {name: found.p_value for name, found in sorted(compared.items())},
    )


def _names(given: dict[str, str]) -> dict[str, str]:
    """Run id → name; runs that share a name get the start of their ids behind it."""
    counts = Counter(given.values())
    return {run: name if counts[name] == 1 else f"{name} ({run[:6]})" for run, name in given.items()}


def _overall(row: Row) -> float:
    cell = row.cells.get(ALL)
    return cell.passed.mean if cell and cell.passed else -1.0


def _point(x: float, rate: Rate, x_low: float | None = None, x_high: float | None = None) -> Point:
    return Point(x, rate.mean, rate.low, rate.high, x_low, x_high)


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "pass_rate": cell.passed.model_dump() if cell.passed else None,
        "queries": cell.queries,
        "missing": cell.missing,
        "win_rates": {name: rate.model_dump() for name, rate in cell.wins.items()},
        "p_values": cell.p_values,
    }
