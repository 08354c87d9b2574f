"""The screening in the report: figures equal the rows, queries beside them give the same."""

from pathlib import Path
from typing import Any

import duckdb
import report_lake as small

from toolbench.lake import Lake
from toolbench.records import Tool, Verdict
from toolbench.report import build
from toolbench.report.screening import reasons, screening


def verdict(number: int, name: Any, reason: str, category: str = "Weather", **fields: Any) -> Verdict:
    return Verdict(
        id=f"{category}/sky/{number}", tool_id=f"{category}/sky", category=category, verdict=name, reason=reason,
        evidence=small.EVIL, calls=2, night="2025-01-01", **fields,
    )  # fmt: skip


ROWS = [
    verdict(0, "working", ""),
    verdict(1, "working", ""),
    verdict(2, "dead", "not_found", retired=True),
    verdict(3, "dead", "not_found", "Finance"),
    verdict(4, "unsuitable", "adult", "Finance", retired=True),
    verdict(5, "unknown", small.EVIL, "Finance"),
]


def test_verdicts_by_category_and_by_reason(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    snapshot = small.publish(lake, {Verdict: list(ROWS)})
    found, why = screening(lake, snapshot), reasons(lake, snapshot)
    assert found is not None
    assert why is not None
    assert found.caption == "APIs by category and verdict, screened in the night 2025-01-01"
    assert found.rows == [
        ["Finance", "0", "1", "0", "0", "0", "0", "1", "1", "3", "1"],
        ["Weather", "2", "1", "0", "0", "0", "0", "0", "0", "3", "1"],
        ["All", "2", "2", "0", "0", "0", "0", "1", "1", "6", "2"],
    ]
    assert why.rows[0] == ["dead", "not_found", "2"]
    for table in (found, why):
        rows = duckdb.connect().execute(table.sql).fetchall()
        assert [[str(cell) for cell in row[1:]] for row in rows] == [list(row[1:]) for row in table.rows]


def test_the_overview_shows_them_and_hostile_text_stays_text(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small.publish(lake, {Tool: [small.tool("sky")], Verdict: list(ROWS)})
    page = build(lake, tmp_path / "out").read_text()
    assert '<h2 id="screening">' in page
    assert "APIs that do not work or are not known to, by reason" in page
    assert "<script>alert" not in page


def test_without_a_screening_there_is_none(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    snapshot = small.publish(lake, {Tool: [small.tool("sky")]})
    assert screening(lake, snapshot) is None
    assert 'id="screening"' not in build(lake, tmp_path / "out").read_text()
