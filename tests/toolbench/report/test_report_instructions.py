"""The instructions in the report: figures equal the rows, queries beside them give the same, samples can be read."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
import report_lake as small
from hypothesis import given
from hypothesis import strategies as st
from test_report_build import Page

from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Instruction, Reject, Tool
from toolbench.report import build
from toolbench.report.instructions import TOPICS, Statistics, statistics
from toolbench.report.lengths import BARS, chart, quantile
from toolbench.report.reading import readable
from toolbench.report.samples import REJECTS_PER_REASON, sample_instructions, sample_rejects
from toolbench.report.tabular import Table


def instruction(number: int, text: str, relevant: list[str], **fields: Any) -> Instruction:
    return replace(small.instruction(number), text=text, relevant=relevant, candidates=relevant, **fields)


def reject(number: int, reason: str, stage: str = "instructions", payload: str = '{"instruction": "Rain?"}') -> Reject:
    return Reject(
        id=f"q{number}", stage=stage, record_id="x", reason=reason, detail=small.EVIL, payload=payload,
        **small.WHERE[number % 3],
    )  # fmt: skip


NOW, LATER, PRICE = "Weather/sky/now", "Weather/sky/later", "Finance/stocks/price"
ROWS = [
    instruction(0, "one two three", [NOW]),  # I1
    instruction(3, "one two three four five", [NOW, LATER], split="tool"),  # I1
    instruction(1, "one  two\nthree four\n", [NOW, LATER], split="train"),  # I2
    instruction(2, " ".join(["word"] * 30), [NOW, PRICE], split="instruction"),  # I3, a collection
]
REJECTS = [
    reject(0, "too_short"), reject(3, "too_short"), reject(1, "too_short"), reject(6, "too_short"),
    reject(2, "unsafe"), reject(4, small.EVIL), reject(5, "html", stage="apis"),
]  # fmt: skip
CATALOGUE: dict[Any, list[Any]] = {
    Tool: [small.tool("sky"), small.tool("stocks", "Finance")],
    Api: [small.api("now"), small.api("later"), small.api("never"), small.api("price", "stocks", "Finance"),
          small.api("news", "papers", "Finance")],
}  # fmt: skip


def published(lake: Lake, *rows: Instruction, rejects: list[Reject] | None = None) -> Snapshot:
    return small.publish(lake, {**CATALOGUE, Instruction: list(rows), Reject: list(rejects or [])})


@pytest.fixture
def snapshot(lake: Lake) -> Snapshot:
    return published(lake, *ROWS, rejects=REJECTS)


def found_in(lake: Lake, snapshot: Snapshot) -> Statistics:
    found = statistics(lake, snapshot)
    assert found is not None
    return found


def rows_of(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [list(row) for row in table.rows]


def counted(table: Table | None) -> list[tuple[Any, ...]]:
    """What DuckDB answers to the query beside a table."""
    assert table is not None
    return duckdb.connect().execute(table.sql).fetchall()


def test_written_kept_and_rejected(lake: Lake, snapshot: Snapshot) -> None:
    found = found_in(lake, snapshot)
    assert rows_of(found.by_group) == [
        ["I1", "5", "2", "40.0%", "3"], ["I2", "3", "1", "33.3%", "2"], ["I3", "2", "1", "50.0%", "1"],
        ["All", "10", "4", "40.0%", "6"],
    ]  # fmt: skip
    assert counted(found.by_group) == [("I1", 5, 2, 3), ("I2", 3, 1, 2), ("I3", 2, 1, 1), (None, 10, 4, 6)]
    assert rows_of(found.by_topic) == [
        ["Weather", "8", "3", "37.5%", "5"], ["Collection Trip", "2", "1", "50.0%", "1"],
        ["All", "10", "4", "40.0%", "6"],
    ]  # fmt: skip
    assert counted(found.by_topic) == [("Weather", 8, 3, 5), ("Collection Trip", 2, 1, 1), (None, 10, 4, 6)]


def test_reasons_are_counted_by_group_and_other_stages_are_not(lake: Lake, snapshot: Snapshot) -> None:
    found = found_in(lake, snapshot)
    assert rows_of(found.by_reason) == [
        ["too_short", "3", "1", "0", "4"], [small.EVIL, "0", "1", "0", "1"], ["unsafe", "0", "0", "1", "1"],
        ["All", "3", "2", "1", "6"],
    ]  # fmt: skip
    assert [row[1:] for row in counted(found.by_reason)] == [(3, 1, 0, 4), (0, 1, 0, 1), (0, 0, 1, 1), (3, 2, 1, 6)]


def test_splits(lake: Lake, snapshot: Snapshot) -> None:
    found = found_in(lake, snapshot)
    assert rows_of(found.by_split) == [
        ["Train", "1", "1", "0", "2"], ["Held out: instruction", "0", "0", "1", "1"],
        ["Held out: tool", "1", "0", "0", "1"], ["All", "2", "1", "1", "4"],
    ]  # fmt: skip
    assert [row[1:] for row in counted(found.by_split)] == [(1, 1, 0, 2), (0, 0, 1, 1), (1, 0, 0, 1), (2, 1, 1, 4)]


def test_lengths_are_words(lake: Lake, snapshot: Snapshot) -> None:
    found = found_in(lake, snapshot)
    assert rows_of(found.lengths) == [
        ["I1", "3", "3", "3", "5", "5", "4.0"], ["I2", "4", "4", "4", "4", "4", "4.0"],
        ["I3", "30", "30", "30", "30", "30", "30.0"], ["All", "3", "3", "4", "30", "30", "10.5"],
    ]  # fmt: skip
    assert [[str(cell) for cell in row[1:]] for row in counted(found.lengths)] == [
        row[1:] for row in rows_of(found.lengths)
    ]


def test_relevant_apis_and_their_tools(lake: Lake, snapshot: Snapshot) -> None:
    found = found_in(lake, snapshot)
    assert rows_of(found.needed) == [
        ["1", "1", "0", "0", "2", "1", "0"], ["2", "1", "1", "1", "0", "0", "1"],
        ["Mean", "1.50", "2.00", "2.00", "1.00", "1.00", "2.00"],
    ]  # fmt: skip
    assert counted(found.needed) == [(1, 1, 0, 0, 2, 1, 0), (2, 1, 1, 1, 0, 0, 1)]


def test_coverage_lists_the_least_covered_first(lake: Lake, snapshot: Snapshot) -> None:
    found = found_in(lake, snapshot)
    assert rows_of(found.coverage) == [
        ["Finance", "2", "1", "50.0%", "2", "1", "50.0%"], ["Weather", "3", "2", "66.7%", "1", "1", "100.0%"],
        ["All", "5", "3", "60.0%", "3", "2", "66.7%"],
    ]  # fmt: skip
    answer = [(r[0], r[1], r[2], r[4], r[5]) for r in counted(found.coverage)]
    assert answer == [("Finance", 2, 1, 2, 1), ("Weather", 3, 2, 1, 1), (None, 5, 3, 3, 2)]


def test_many_topics_are_cut_and_counted(lake: Lake) -> None:
    rows = [instruction(3 * n, "a b", [NOW], category=f"C{n:03}") for n in range(TOPICS + 5)]
    found = found_in(lake, published(lake, *rows)).by_topic
    assert len(found.rows) == TOPICS + 1
    assert list(found.rows[-1][:2]) == ["All", str(TOPICS + 5)]
    assert found.notes[0].startswith("5 more")
    assert len(counted(found)) == TOPICS + 6


def test_imported_rows_without_group_or_topic_have_a_name(lake: Lake) -> None:
    imported = replace(reject(0, "malformed"), group="", category="", collection="", payload='"Rain?"')
    found = found_in(lake, published(lake, ROWS[0], rejects=[imported]))
    assert [row[0] for row in rows_of(found.by_group)] == ["None", "I1", "All"]
    assert {row[0] for row in rows_of(found.by_topic)} == {"None", "Weather", "All"}
    assert found.examples[0].drawn[0].text == "Rain?"
    assert counted(found.by_reason)[-1] == (None, 1, 1)


@pytest.mark.parametrize(("rows", "rejects"), [(ROWS, []), ([], REJECTS)])
def test_a_lake_with_one_of_both(tmp_path: Path, rows: list[Instruction], rejects: list[Reject]) -> None:
    lake = Lake(str(tmp_path / "lake"))
    found = found_in(lake, published(lake, *rows, rejects=rejects))
    assert (found.by_reason is None) is (not rejects)
    assert (found.chart is None) is (not rows)
    assert counted(found.by_group)[-1][1:] == (len(rows) + 6 * bool(rejects), len(rows), 6 * bool(rejects))
    page = Page(build(lake, tmp_path / "out").parent / "instructions.html")
    assert ("None was rejected" in page.text) is (not rejects)


def test_without_instructions_pages_say_so(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    assert statistics(lake, small.publish(lake, dict(CATALOGUE))) is None
    folder = build(lake, tmp_path / "out").parent
    assert "No instructions yet." in Page(folder / "instructions.html").text
    assert "No instructions yet." in Page(folder / "samples.html").text


def test_examples_of_rejects_are_a_draw_of_each_reason(lake: Lake, snapshot: Snapshot) -> None:
    found = {e.reason: e for e in sample_rejects(lake, snapshot, "instructions")}
    assert next(iter(found)) == "too_short"
    assert (found["too_short"].total, len(found["too_short"].drawn)) == (4, REJECTS_PER_REASON)
    assert found["unsafe"].drawn[0].where == "I3, collection Trip"
    assert found["unsafe"].drawn[0].text == "Rain?"
    assert "html" not in found
    assert [e.drawn for e in sample_rejects(lake, snapshot, "instructions")] == [e.drawn for e in found.values()]


@pytest.mark.parametrize(
    ("payload", "text"), [("{", "{"), ("[]", ""), ('{"instruction": 5}', ""), ("[" * 100_000, "[" * 100_000)]
)
def test_a_strange_payload_is_no_crash(lake: Lake, payload: str, text: str) -> None:
    view = published(lake, rejects=[reject(0, "x", payload=payload)])
    ((example,),) = [e.drawn for e in sample_rejects(lake, view, "instructions")]
    assert example.text == text


@given(st.dictionaries(st.integers(0, 10_000), st.integers(1, 50), min_size=1, max_size=20))
def test_bars_hold_every_instruction_and_stay_in_the_drawing(counts: dict[int, int]) -> None:
    drawn = chart({"I1": Counter(counts), "I2": Counter({1: 1})})
    for row, total in zip(drawn.rows, (sum(counts.values()), 1), strict=True):
        assert len(row.bars) <= BARS
        assert sum(int(b.title.rpartition(": ")[2].replace(",", "")) for b in row.bars) == total
        for bar in row.bars:
            assert drawn.left <= bar.x
            assert bar.x + bar.width <= drawn.width
            assert 0 <= bar.y <= row.base <= drawn.height
            assert bar.y + bar.height == pytest.approx(row.base, abs=0.2)
            assert bar.width > 0


def test_quantiles_by_hand() -> None:
    assert [quantile({1: 1, 2: 1, 3: 1, 10: 1}, share) for share in (0.1, 0.5, 0.51, 0.9)] == [1, 2, 3, 10]


def test_samples_show_candidates_by_tool_with_the_relevant_marked(lake: Lake) -> None:
    row = replace(ROWS[3], candidates=[NOW, PRICE, LATER, "Gone/api/x"], relevant=[NOW, PRICE])
    view = published(lake, row)
    (shown,) = readable(lake, view, sample_instructions(lake, view))["I3"]
    assert [(t.name, t.category, [(a.id, a.relevant) for a in t.apis]) for t in shown.tools] == [
        ("sky", "Weather", [(NOW, True), (LATER, False)]), ("stocks", "Finance", [(PRICE, True)]),
        ("Gone/api", "", [("Gone/api/x", False)]),
    ]  # fmt: skip


def test_the_page_of_samples_is_seeded_and_as_long_as_asked(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    published(lake, *(instruction(n, f"text {n} of many", [NOW]) for n in range(60)))
    pages = [build(lake, tmp_path / name, instructions_per_group=5).parent / "samples.html" for name in ("a", "b")]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    page = Page(pages[0])
    assert page.tags.count("article") == 15
    assert page.text.count("✓ relevant") == 15
    assert "I2: several tools of one category" in page.text
    assert build(lake, tmp_path / "c").parent.joinpath("samples.html").read_text().count("<article") == 36


def test_hostile_text_stays_text_on_both_pages(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    evil = replace(ROWS[0], text=small.EVIL, group="I1", category=small.EVIL, candidates=[small.EVIL, NOW])
    small.publish(lake, {**CATALOGUE, Instruction: [evil], Reject: [reject(0, small.EVIL, payload=small.EVIL)]})
    folder = build(lake, tmp_path / "out").parent
    for name in ("instructions.html", "samples.html"):
        page = Page(folder / name)
        assert not {"img", "iframe"} & set(page.tags)
        assert "<script>alert(1)</script>" in page.text
        assert "\u202e" not in page.text
