"""The report as a whole: hostile text stays text, figures equal the rows, queries beside them give the same."""

import html
import json
import re
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
import report_lake as small

from toolbench.errors import LakeError, SourceError, ToolbenchError, UsageError
from toolbench.lake import Lake
from toolbench.records import Api, Evaluation, Instruction, Record, Solution, Tool
from toolbench.report import build

VOID = {"meta", "br", "link", "input"}
REAL = {"index.html", "instructions.html", "samples.html", "retriever.html"}
"""Pages with texts of the lake; the others load theirs."""


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
        "index.html", "instructions.html", "samples.html", "catalogue.html", "solutions.html", "solution.html",
        "retriever.html", "evaluation.html",
    }  # fmt: skip


def test_hostile_text_stays_text(report: Path) -> None:
    for path in pages(report):
        page = Page(path)
        assert not {"img", "iframe", "object", "base", "style"} & set(page.tags), path
        assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"], path
        assert "<script>alert(1)</script>" in page.text, f"{path} shows no hostile text: the test tests nothing"
        assert "{{ 7*7 }}" in page.text
        assert "\u202e" not in page.text, "a direction override reached the page"


def test_scripts_and_styles_are_files_of_the_report_and_no_other_may_run(report: Path) -> None:
    for path in pages(report):
        text = path.read_text()
        scripts = re.findall(r"<script[^>]*>[^<]*", text)
        assert scripts
        assert all(re.fullmatch(r'<script src="static/[a-z]+\.js" defer>', script) for script in scripts)
        for name in re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', text):
            assert (report / name).is_file(), name
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
        rules = dict(rule.split(" ", 1) for rule in html.unescape(policy).split("; "))
        assert rules == {
            "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'",
            "connect-src": "'none'", "base-uri": "'none'", "form-action": "'none'",
        }  # fmt: skip


def test_links_lead_to_pages(report: Path) -> None:
    for path in pages(report):
        for link in Page(path).links:
            assert link.startswith("#") or (path.parent / link.partition("#")[0]).resolve().is_file(), (path, link)


def test_every_line_of_data_is_one_harmless_call(report: Path) -> None:
    lines = [line for path in report.rglob("data/**/*.js") for line in path.read_bytes().splitlines()]
    assert any(b"alert(1)" in line for line in lines), "no hostile text is in them: the test tests nothing"
    for line in lines:
        assert line.isascii()
        assert b"<" not in line
        call = re.fullmatch(rb"toolbench\.data\((.*)\);", line)
        assert call
        assert len(json.loads(b"[" + call[1] + b"]")) == 3


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
    assert table(overview, "Latest run")[1][5] == "too_short 7, unsafe 2, a 1 and 1 more"
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


def test_retriever_before_and_after(report: Path, overview: Page) -> None:
    page = Page(report / "retriever.html")
    assert table(page, "Retriever") == [
        ["all", "Before", "4", "0.400 ± 0.050", "0.500 ± 0.050"],
        ["all", "After", "4", "0.650 ± 0.040", "0.750 ± 0.040"],
        ["group I1", "Before", "4", "0.300", "0.400"], ["group I1", "After", "4", "0.700", "0.800"],
    ]  # fmt: skip
    assert "0.5" in str(counted(page, "Retriever"))
    assert page.tags.count("rect") == 4
    assert {"title", "desc"} <= set(page.tags)
    assert "75.0% NDCG@5 on held-out queries" in overview.text


def test_catalogue_counts(report: Path) -> None:
    page = Page(report / "catalogue.html")
    shown = table(page, "Tools and APIs")
    assert shown == [["Finance", "1", "1", "0"], ["Weather", "2", "2", "0"], ["All", "3", "3", "0"]]
    assert [row[1:] for row in counted(page, "Tools and APIs")] == [(1, 1, 0), (2, 2, 0), (3, 3, 0)]


def test_instructions_mark_relevant_apis_and_link_solutions_and_apis(report: Path) -> None:
    page = Page(report / "samples.html")
    assert page.text.count("✓ relevant") == 3
    assert {"solution.html#s0", "solution.html#s1", "solution.html#s2"} <= set(page.links)
    assert "catalogue.html#api=Weather/sky/now" in page.links


@pytest.mark.parametrize(("model", "shown"), [("offline-teacher", True), ("gpt", False)])
def test_banner_where_the_offline_teacher_made_rows(tmp_path: Path, model: str, shown: bool) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small.publish(lake, small.rows(model))
    build(lake, tmp_path / "out")
    for path in pages(tmp_path / "out"):
        assert ("Made by the offline teacher" in Page(path).text) is shown


def test_same_snapshot_same_bytes(report: Path, tmp_path: Path) -> None:
    build(Lake(str(report.parent / "lake")), tmp_path / "again")
    first, again = ({p.relative_to(f).as_posix(): p.read_bytes() for p in f.rglob("*.*")} for f in (report, tmp_path))
    assert {f"again/{name}": data for name, data in first.items()} == again


def test_an_older_snapshot_takes_the_place_of_a_newer_one_and_other_files_stay(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small.publish(lake, {Instruction: [small.instruction(0)], Solution: [small.solution(0, small.FORKED, [1, 3, 4])]})
    small.publish(lake, {Instruction: [small.instruction(1)], Solution: [small.solution(1, small.STRAIGHT, [1, 2])]})
    out = build(lake, tmp_path / "out").parent
    (out / "mine.html").write_text("not a page of the report")
    assert '"s1"' in data(out)
    build(lake, out, 1)
    assert '"s0"' in data(out)
    assert '"s1"' not in data(out)
    assert (out / "mine.html").exists()
    with pytest.raises(UsageError, match="no snapshot 9"):
        build(lake, out, 9)


def data(out: Path) -> str:
    return "".join(path.read_text() for path in sorted(out.rglob("data/**/*.js")))


def test_a_folder_of_other_data_is_not_touched(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small.publish(lake, small.rows())
    (tmp_path / "out" / "data").mkdir(parents=True)
    (tmp_path / "out" / "data" / "mine.csv").write_text("1")
    with pytest.raises(ToolbenchError, match="folder `data` of something else"):
        build(lake, tmp_path / "out")
    assert (tmp_path / "out" / "data" / "mine.csv").read_text() == "1"


def test_what_changed_since_the_snapshot_before(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    rows = small.rows()
    small.publish(lake, rows)
    assert "Since last night" not in Page(build(lake, tmp_path / "out")).text
    changed = [replace(small.api("now"), digest="other"), small.api("later"), small.api("never")]
    solved = [*rows[Solution][:2], small.solution(5, small.STRAIGHT, [1, 2])]
    small.publish(lake, {**rows, Api: changed, Solution: solved})
    page = Page(build(lake, tmp_path / "out"))
    shown = {row[0]: row[1:] for row in table(page, "Rows that are new")}
    assert shown["apis"] == ["3", "3", "1", "1", "1"]
    assert shown["solutions"] == ["3", "3", "1", "–", "1"]
    assert shown["tools"] == ["3", "3", "0", "0", "0"]
    found = {row[0]: [str(cell) for cell in row[1:]] for row in counted(page, "Rows that are new")}
    assert found == {name: [cell.replace("–", "0") for cell in row] for name, row in shown.items()}
    passed = table(page, "Pass rate by group, snapshot 1")
    assert passed[-2:] == [["I3", "1", "0.0%", "1", "100.0%", "+100.0"], ["All", "3", "66.7%", "3", "100.0%", "+33.3"]]
    assert [row[1:] for row in counted(page, "Pass rate by group, snapshot 1")][-2:] == [
        (1, 0.0, 1, 1.0), (3, pytest.approx(2 / 3), 3, 1.0),
    ]  # fmt: skip
    # Files of the snapshot before may be gone: then nothing is compared.
    before, now = ({entry.path for entry in lake.snapshot(number).entries("apis")} for number in (1, 2))
    lake.store.delete(sorted(before - now))
    assert "Since last night" not in Page(build(lake, tmp_path / "out")).text


def test_judges_beside_people_where_there_are_labels(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small.publish(lake, small.rows())
    labels = tmp_path / "labels.jsonl"
    people = {"s0": "solved", "s1": "solved", "s2": "unsolved"}
    lines = [{"item": item, "people": {"anna": label}, "judges": {"gpt": "solved"}} for item, label in people.items()]
    labels.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = build(lake, tmp_path / "out", labels=labels).parent
    page = Page(out / "judges.html")
    # The lake's judge says unsure of s0 (a vote each way) and unsolved of s1, where people say solved.
    shown = sorted((row[0][:8], row[1]) for row in page.tables["Agreement with people"])
    assert shown == [("<script>", "1 of 3"), ("always s", "2 of 3"), ("gpt", "2 of 3")]
    assert "judges.html" in Page(out / "index.html").links
    with pytest.raises(SourceError, match="cannot be read"):
        build(lake, tmp_path / "out", labels=tmp_path / "none.jsonl")


def test_evaluations_of_the_lake_are_tables_and_bars(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    rows: list[Record] = [
        Evaluation(**small.evaluation(name, rate)) for name, rate in (("ours", 0.75), ("theirs", 0.5))
    ]
    small.publish(lake, {Tool: [small.tool("sky")], Evaluation: rows})
    page = Page(build(lake, tmp_path / "out").parent / "evaluation.html")
    assert [row[:1] for row in table(page, "Pass rate")] == [["ours"], ["theirs"]]
    assert table(page, "Pass rate")[0][-1].startswith("75.0")
    assert page.tags.count("rect") == 2
    assert {row[0] for row in counted(page, "Pass rate")} == {"ours", "theirs"}


def test_a_lake_with_tools_alone(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    small.publish(lake, {small.Tool: [small.tool("sky")]})
    page = Page(build(lake, tmp_path / "out"))
    assert list(page.tables) == ["Where every table lies"]
    assert "No run is recorded" in page.text


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
