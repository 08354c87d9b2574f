"""The leaderboard: of stored runs only, judges not mixed, nothing a name says is markup."""

import json
from pathlib import Path
from typing import Any

import pytest

from toolbench.errors import SourceError, UsageError
from toolbench.report.leaderboard import markdown, page
from toolbench.tooleval.leaderboard import board, find, plots, published
from toolbench.tooleval.runs import (
    Checks,
    JudgePin,
    Judging,
    PassRun,
    QueryResult,
    Rate,
    SplitResult,
    WinRun,
    WinSplit,
    dump,
)

PIN = JudgePin(model="offline-teacher", prompts={"pass": "p"}, votes=3, temperature=0, schema_version=1)
OTHER = PIN.model_copy(update={"votes": 5})


def rate(mean: float) -> Rate:
    return Rate(mean=mean, low=max(0, mean - 0.1), high=min(1, mean + 0.1), n=10)


def checks(cost: float, calls: float = 4.0) -> Checks:
    return Checks(
        finish_rate=1, valid_call_rate=1, hallucination_rate=0, api_error_rate=0, argument_validity=1,
        relevant_coverage=None, steps=3, calls=calls, replies=6, tokens=100, cost=cost,
    )  # fmt: skip


def query(name: str, verdict: Any) -> QueryResult:
    return QueryResult(
        query_id=name, split="I1", answered=True, rule="", status="solved", task="", verdict=verdict, points=1,
        votes=[1], steps=1, calls=1, replies=1, input_tokens=1, output_tokens=1, cost=0.1,
    )  # fmt: skip


def passed(run: str, name: str, mean: float, *, cost: float = 2.0, pin: JudgePin = PIN, calls: float = 4.0) -> PassRun:
    verdicts = ["passed"] * round(10 * mean) + ["failed"] * (10 - round(10 * mean))
    splits = [
        SplitResult(
            split=s, queries=10, missing=["I1/9"] if s == "all" else [], pass_rate=rate(mean), vote_rates=[mean],
            vote_variance=None, checks=checks(cost, calls),
        )
        for s in ("I1", "all")
    ]  # fmt: skip
    return PassRun(
        id=run, name=name, method="dfsdt", model="m", answers="x", test_set="instructions", counting="paper",
        unsure=0.5, judge=pin, fingerprint=pin.fingerprint, seed=0, judging=Judging(), splits=splits,
        queries=[query(str(n), v) for n, v in enumerate(verdicts)],
    )  # fmt: skip


def won(run: str, name: str, mean: float, pin: JudgePin = PIN) -> WinRun:
    splits = [
        WinSplit(split=s, queries=10, wins=6, ties=2, losses=2, win_rate=rate(mean), p_value=0.3, won_by={"steps": 10})
        for s in ("I1", "all")
    ]
    return WinRun(
        id=f"w{run}", name=name, against="react", run=run, reference="r2", method="dfsdt", model="m", judge=pin,
        fingerprint=pin.fingerprint, seed=0, judging=Judging(), splits=splits, queries=[],
    )  # fmt: skip


RUNS = [passed("r2", "react", 0.4), passed("r1", "dfsdt", 0.6, calls=9), won("r1", "dfsdt", 0.7)]


def test_rows_are_what_is_stored_best_first() -> None:
    found = board(RUNS)
    assert [row.name for row in found.rows] == ["dfsdt", "react"]
    assert (found.splits, found.references, found.mixed) == (["I1", "all"], ["react"], False)
    first, second = found.rows
    assert first.cells["all"].passed == rate(0.6)
    assert first.cells["I1"].wins == {"react": rate(0.7)}
    assert (first.passed, first.cost, first.cost_per_passed) == (6, 2.0, pytest.approx(2 / 6))
    assert second.cells["all"].wins == {}
    assert second.cells["all"].missing == 1


def test_nothing_passed_has_no_cost_per_passed_query() -> None:
    assert board([passed("a", "a", 0.0)]).rows[0].cost_per_passed is None


def test_different_judges_are_refused_unless_asked_for() -> None:
    runs = [*RUNS, passed("r3", "strict", 0.5, pin=OTHER)]
    with pytest.raises(UsageError, match=f"(?s){PIN.fingerprint}.*{OTHER.fingerprint}.*votes"):
        board(runs)
    found = board(runs, allow_different_judges=True)
    assert found.mixed
    assert {row.fingerprints["pass"] for row in found.rows} == {PIN.fingerprint, OTHER.fingerprint}
    assert "cannot be compared" in markdown(found)
    assert "Different judges" in page(found, {})


def test_the_order_of_files_changes_nothing(tmp_path: Path) -> None:
    assert board(RUNS).as_json() == board(RUNS[::-1]).as_json()
    for run in RUNS:
        (tmp_path / f"{run.id}.json").write_text(dump(run))
    again = find([tmp_path, tmp_path / "r1.json"])
    assert board(again).as_json() == board(RUNS).as_json()
    assert markdown(board(again)) == markdown(board(RUNS))


def test_runs_of_one_name_are_told_apart() -> None:
    found = board([passed("abcdef12", "same", 0.5), passed("0123456789", "same", 0.5)])
    assert sorted(row.name for row in found.rows) == ["same (012345)", "same (abcdef)"]


def test_markdown_has_a_row_a_method_and_a_column_a_split() -> None:
    text = markdown(board(RUNS))
    assert "| dfsdt | 60.0 (50.0 to 70.0) | 60.0 (50.0 to 70.0) |" in text
    assert "| method | I1 | all |" in text
    assert "**Win rate against react, %**" in text
    assert f"Judge: offline-teacher {PIN.fingerprint}." in text
    assert "$0.3333" in text


def test_plots_are_drawn_where_there_are_figures() -> None:
    drawn = plots(board(RUNS))
    assert sorted(drawn) == ["pass_calls", "pass_win"]
    assert all(data.startswith(b"<?xml") for data in drawn.values())
    assert b"dfsdt" in drawn["pass_win"]
    assert b"react</" not in drawn["pass_win"].replace(b"against react", b"")  # it has no win rate
    assert plots(board(RUNS)) == drawn
    assert sorted(plots(board(RUNS[:1]))) == ["pass_calls"]


def test_names_are_shown_as_they_are() -> None:
    hostile = "<script>x</script>|*b*\n[l](http://x)"
    found = board([passed("r1", hostile, 0.5)])
    shown = page(found, plots(found))
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    text = markdown(found)
    assert "<script" not in text
    assert "\\|\\*b\\* \\[l\\]" in text
    assert {line.count(" | ") for line in text.splitlines() if line.startswith("| &lt;")} == {2, 7}


def test_published_figures_stand_apart_and_are_of_another_judge() -> None:
    tables = published()
    assert all(table["fingerprint"].startswith("published:") and table["source"] for table in tables)
    without, with_them = page(board(RUNS), {}), page(board(RUNS), {}, tables)
    assert "not measured here" not in without
    assert "not measured here" in with_them
    assert tables[0]["warning"] in with_them
    ours = with_them.partition("not measured here")[0]
    assert not [row[0] for row in tables[0]["rows"] if row[0] in ours]


def test_what_is_no_run_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no stored evaluation"):
        find([tmp_path])
    broken = tmp_path / "x.json"
    broken.write_text(json.dumps({"kind": "pass", "format": 1}))
    with pytest.raises(SourceError, match=r"x\.json"):
        find([broken])
    with pytest.raises(UsageError, match="at least one"):
        board([])
