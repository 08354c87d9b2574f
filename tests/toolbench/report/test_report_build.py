"""The report as a whole: hostile text stays text, figures equal the rows, queries beside them give the same."""

from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
import report_lake as small

from toolbench.errors import LakeError, ToolbenchError, UsageError
from toolbench.lake import Lake
from toolbench.records import Instruction, Solution
from toolbench.report import build

VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a browser would make of a page: elements, attributes, tables by caption, queries by caption."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.links: list[str] = []
        self.texts: dict[str, list[str]] = defaultdict(list)
        self.tables: dict[str, list[list[str]]] = {}
        self.queries: list[str] = []
        self.headings: list[int] = []
        self._open: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == [], f"unclosed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        found = dict(attrs)
        if tag == "a":
            self.links.append(found["href"] or "")
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))
        if tag == "caption":
            self._caption = ""
        if tag == "tr" and "tbody" in self._open:
            self.tables.setdefault(self._caption, []).append([])
        if tag in ("td", "th") and "tbody" in self._open:
            self.tables[self._caption][-1].append("")
        if tag == "pre":
            self._pre = ""
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "pre":
            self.queries.append(self._pre)

    def handle_data(self, data: str) -> None:
        self.text += data
        if "caption" in self._open:
            self._caption += data
        if {"td", "th"} & set(self._open) and "tbody" in self._open:
            self.tables[self._caption][-1][-1] += data
        if "pre" in self._open:
            self._pre += data

    def query(self, caption: str) -> str:
        """The query beside the table with this caption: on the overview, each table has exactly one."""
        return self.queries[list(self.tables).index(caption)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report with 'quote")
    lake = Lake(str(folder / "lake"))
    small.publish(lake, small.rows(), small.RETRIEVER)
    assert build(lake, folder / "out") == folder / "out" / "index.html"
    return folder / "out"


@pytest.fixture(scope="module")
def overview(report: Path) -> Page:
    return Page(report / "index.html")


def pages(report: Path) -> list[Path]:
    return sorted(report.rglob("*.html"))


def table(page: Page, start: str) -> list[list[str]]:
    (caption,) = [c for c in page.tables if c.startswith(start)]
    return page.tables[caption]


def counted(page: Page, start: str) -> list[tuple[object, ...]]:
    """What DuckDB answers to the query beside a table."""
    (caption,) = [c for c in page.tables if c.startswith(start)]
    return duckdb.connect().execute(page.query(caption)).fetchall()


def test_all_pages_are_there(report: Path) -> None:
    names = {p.relative_to(report).as_posix() for p in pages(report)}
    assert names == {
        "index.html", "instructions.html", "samples.html", "catalogue.html", "solutions/index.html",
        "solutions/s0.html", "solutions/s1.html", "solutions/s2.html",
    }  # fmt: skip


def test_hostile_text_stays_text(report: Path) -> None:
    for path in pages(report):
        page = Page(path)
        assert not {"script", "img", "iframe", "object", "link", "base", "form"} & set(page.tags), path
        assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"], path
        assert page.tags.count("style") == 1
        assert "<script>alert(1)</script>" in page.text, f"{path} shows no hostile text: the test tests nothing"
        assert "{{ 7*7 }}" in page.text
        assert "\u202e" not in page.text, "a direction override reached the page"
        assert "default-src 'none'" in path.read_text()


def test_links_lead_to_pages(report: Path) -> None:
    for path in pages(report):
        for link in Page(path).links:
            assert link.startswith("#") or (path.parent / link).resolve().is_file(), (path, link)


def test_headings_descend_one_at_a_time(report: Path) -> None:
    for path in pages(report):
        headings = Page(path).headings
        assert headings[0] == 1
        assert headings.count(1) == 1
        assert all(b <= a + 1 for a, b in pairwise(headings)), (path, headings)


def test_tables_have_captions_and_scopes(report: Path) -> None:
    for path in pages(report):
        page = Page(path)
        assert page.tags.count("table") == page.tags.count("caption")
        assert sum(name == "scope" for name, _ in page.attributes) == page.tags.count("th")


def test_funnel_shows_the_latest_run_of_each_stage(overview: Page) -> None:
    shown = [row[:4] for row in table(overview, "Latest run")]
    assert shown == [["apis", "10", "7", "3"], ["dataset", "10", "9", "1"]]
    assert [list(map(str, row[:4])) for row in counted(overview, "Latest run")] == shown


def test_rejects_by_stage_and_reason(overview: Page) -> None:
    shown = [(row[0], int(row[2])) for row in table(overview, "Rejected")]
    assert shown == [("apis", 2), ("apis", 1), ("dataset", 1)]
    assert [(row[0], row[2]) for row in counted(overview, "Rejected")] == shown


def test_pass_rate_by_group(overview: Page) -> None:
    shown = table(overview, "Pass rate by group")
    # s0: votes solved and unsure are ¾ of a point; s1 is judged unsolved although it ended with an answer.
    assert [row[:4] + row[5:7] for row in shown] == [
        ["I1", "1", "1", "100.0%", "1", "75.0%"],
        ["I2", "1", "1", "100.0%", "1", "0.0%"],
        ["I3", "1", "0", "0.0%", "1", "0.0%"],
        ["All", "3", "2", "66.7%", "3", "25.0%"],
    ]
    assert shown[3][4] == "20.8 to 93.9%"
    assert [(row[1], row[2], row[3], row[4]) for row in counted(overview, "Pass rate by group")] == [
        (1, 1, 1, 0.75), (1, 1, 1, 0), (1, 0, 1, 0), (3, 2, 3, 0.25),
    ]  # fmt: skip


def test_pass_rate_by_category_names_collections(overview: Page) -> None:
    shown = [row[:3] for row in table(overview, "Pass rate by category")]
    assert shown == [["Collection Trip", "1", "0"], ["Weather", "2", "2"], ["All", "3", "2"]]
    found = counted(overview, "Pass rate by category")
    assert [(r[0], r[1], r[2]) for r in found] == [("Collection Trip", 1, 0), ("Weather", 2, 2), (None, 3, 2)]


def test_teacher_counts_latest_runs(overview: Page) -> None:
    shown = [row[:1] + row[2:] for row in table(overview, "Teacher")]
    assert shown == [
        ["apis", "7", "1,000", "100", "$0.2500"], ["dataset", "7", "1,000", "100", "$0.2500"],
        ["All", "14", "2,000", "200", "$0.5000"],
    ]  # fmt: skip
    assert [row[2:] for row in counted(overview, "Teacher")] == [(7, 1000, 100, 0.25)] * 2 + [(14, 2000, 200, 0.5)]


def test_splits(overview: Page) -> None:
    shown = table(overview, "Rows by split")
    assert shown == [
        ["instructions", "2", "0", "1", "0", "3"], ["conversations", "2", "0", "0", "0", "2"],
        ["retrieval_pairs", "2", "0", "1", "0", "3"],
    ]  # fmt: skip
    assert [list(map(str, row)) for row in counted(overview, "Rows by split")] == shown


def test_api_calls_by_status_and_source(overview: Page) -> None:
    shown = table(overview, "API calls")
    assert shown == [["0 normal", "1", "1", "2"], ["5 timeout", "1", "0", "1"], ["All", "2", "1", "3"]]
    assert [row[1:] for row in counted(overview, "API calls")] == [(1, 1, 2), (1, 0, 1), (2, 1, 3)]


def test_models_and_storage(overview: Page) -> None:
    assert ["solutions", "gpt", "3"] in table(overview, "Which model")
    assert ("solutions", "gpt", 3) in counted(overview, "Which model")
    stored = {row[0]: [int(cell.replace(",", "")) for cell in row[1:4]] for row in table(overview, "Where every")}
    assert stored["solutions"][:2] == [3, 2]
    assert {row[0]: list(row[1:]) for row in counted(overview, "Where every")} == stored


def test_retriever_before_and_after(overview: Page) -> None:
    assert table(overview, "Retriever") == [
        ["all", "Before", "4", "0.400 ± 0.050", "0.500 ± 0.050"],
        ["all", "After", "4", "0.650 ± 0.040", "0.750 ± 0.040"],
        ["group I1", "Before", "4", "0.300", "0.400"], ["group I1", "After", "4", "0.700", "0.800"],
    ]  # fmt: skip
    assert "0.5" in str(counted(overview, "Retriever"))
    assert overview.tags.count("rect") == 4
    assert {"title", "desc"} <= set(overview.tags)


def test_catalogue_counts(report: Path) -> None:
    page = Page(report / "catalogue.html")
    shown = table(page, "Tools and APIs")
    assert shown == [["Finance", "1", "1", "0"], ["Weather", "2", "2", "0"], ["All", "3", "3", "0"]]
    assert [row[1:] for row in counted(page, "Tools and APIs")] == [(1, 1, 0), (2, 2, 0), (3, 3, 0)]


def test_solution_page_shows_the_fork_and_what_is_learned(report: Path) -> None:
    text = " ".join(Page(report / "solutions" / "s0.html").text.split())
    assert "Try 1 of 2 · 1 step · left: gave up" in text
    assert "Try 2 of 2 · 2 steps · on the chosen path" in text
    assert "5 timeout" in text
    assert "assistant learned" in text
    assert "user read only" in text
    assert "back-tracked" in text


def test_instructions_mark_relevant_apis_and_link_solutions(report: Path) -> None:
    page = Page(report / "samples.html")
    assert page.text.count("✓ relevant") == 3
    assert {"solutions/s0.html", "solutions/s1.html", "solutions/s2.html"} <= set(page.links)


@pytest.mark.parametrize(("model", "shown"), [("offline-teacher", True), ("gpt", False)])
def test_banner_where_the_offline_teacher_made_rows(tmp_path: Path, model: str, shown: bool) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small.publish(lake, small.rows(model))
    build(lake, tmp_path / "out")
    for path in pages(tmp_path / "out"):
        assert ("Made by the offline teacher" in Page(path).text) is shown


def test_same_snapshot_same_bytes(report: Path, tmp_path: Path) -> None:
    build(Lake(str(report.parent / "lake")), tmp_path / "again")
    for path in pages(report):
        assert (tmp_path / "again" / path.relative_to(report)).read_bytes() == path.read_bytes()


def test_an_older_snapshot_and_stale_pages(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small.publish(lake, {Instruction: [small.instruction(0)], Solution: [small.solution(0, small.FORKED, [1, 3, 4])]})
    small.publish(lake, {Instruction: [small.instruction(1)], Solution: [small.solution(1, small.STRAIGHT, [1, 2])]})
    build(lake, tmp_path / "out")
    kept = tmp_path / "out" / "solutions" / "mine.html"
    kept.write_text("not a page of the report")
    assert (tmp_path / "out" / "solutions" / "s1.html").exists()
    build(lake, tmp_path / "out", 1)
    assert (tmp_path / "out" / "solutions" / "s0.html").exists()
    assert not (tmp_path / "out" / "solutions" / "s1.html").exists()
    assert kept.exists()
    with pytest.raises(UsageError, match="no snapshot 9"):
        build(lake, tmp_path / "out", 9)


def test_a_lake_with_tools_alone(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small.publish(lake, {small.Tool: [small.tool("sky")]})
    page = Page(build(lake, tmp_path / "out"))
    assert list(page.tables) == ["Where every table lies"]
    assert "No run is recorded" in page.text


def test_an_id_that_is_no_file_name_leads_nowhere(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small.publish(lake, {Solution: [replace(small.solution(0, small.STRAIGHT, [1, 2]), id="../../escaped")]})
    build(lake, tmp_path / "out")
    assert not list(tmp_path.rglob("escaped*"))
    assert len(list((tmp_path / "out" / "solutions").glob("*.html"))) == 2


def test_errors_name_the_way_out(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    with pytest.raises(ToolbenchError, match=r"nothing was published to .*lake yet: run `toolbench refresh` first"):
        build(lake, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    snapshot = small.publish(lake, small.rows())
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolbenchError, match="cannot be written to"):
        build(lake, tmp_path / "file")
    lake.store.delete([snapshot.entries("solutions")[0].path])
    with pytest.raises(LakeError, match="missing"):
        build(lake, tmp_path / "out")
