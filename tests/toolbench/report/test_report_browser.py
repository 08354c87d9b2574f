"""The report in a browser, opened from files: trees, searches, hostile texts, screen readers, paper, no script."""

import json
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import report_lake as small
from workshop import Factory

from toolbench.lake import Lake
from toolbench.records import Api, ApiCall, Conversation, Instruction, Record, Solution
from toolbench.report import build
from toolbench.report.agreement import differences
from toolbench.tooleval.agreement import Item, compare

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES = (
    "index", "solutions", "solution", "instructions", "samples", "catalogue", "retriever", "evaluation", "judges",
)  # fmt: skip
ODD = "s%2F../\"'><img src=x onerror=window.pwned=9>&#x41;?a=b#c d"
"""A solution's id that no file and no link can take as it is."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hostile texts everywhere, a search that back-tracked, 130 APIs."""
    folder = tmp_path_factory.mktemp("browser")
    lake = Lake(str(folder / "lake"))
    rows = small.rows()
    rows[Solution].append(replace(small.solution(3, small.FORKED, [1, 3, 4]), id=ODD, instruction_id="gone"))
    response = json.dumps("the whole response " + "of many words " * 4000)
    first, last = (
        replace(small.api_call(n, status, "live"), solution_id="s0", step=step, response=response)
        for n, (step, status) in enumerate([(1, 0), (3, 5)])
    )
    rows[ApiCall] = [first, small.api_call(9, 0, "live"), last]  # of two shards those of s0 are in the first, as it is
    rows[Api] = [*rows[Api], *(_api(n) for n in range(127))]
    small.publish(lake, rows, small.RETRIEVER)
    labels = folder / "labels.jsonl"
    item = {"item": "s0", "people": {small.EVIL: "solved"}, "judges": {small.EVIL: "unsolved"}, "answer": small.EVIL}
    labels.write_text(json.dumps(item) + "\n")
    build(lake, folder / "out", labels=labels)
    return folder / "out"


def _api(n: int) -> Record:
    found = small.api(f"forecast{n}", "rain" if n % 2 else "sky")
    return replace(found, name=f"getForecast{n}", description="Tells the weather" + " of the ocean" * (n == 77))


@pytest.fixture(scope="module", autouse=True)
def night(factory: Factory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a lake in which every stage has worked; made before the browser opens, since stages run loops."""
    return build(factory.lake, tmp_path_factory.mktemp("night")).parent


def go(page: "Page", folder: Path, name: str) -> None:
    page.goto(f"{folder.as_uri()}/{name}")


def settled(page: "Page", name: str) -> None:
    """Wait for what the page's scripts add."""
    if name.startswith(("solutions", "catalogue")):
        page.locator("#results table").wait_for()
    if "#" in name:
        page.locator("#tree, #api h2").first.wait_for()


def rows(page: "Page") -> list[str]:
    return [" ".join(text.split()) for text in page.locator("#results tbody tr").all_inner_texts()]


def found(page: "Page", count: str) -> None:
    page.get_by_text(re.compile(rf"^(By id: .*\. )?{count} of .* found\.")).wait_for()


def test_a_tree_with_back_tracking_is_opened_and_its_failed_call_is_found(page: "Page", report: Path) -> None:
    go(page, report, "solutions.html")
    page.get_by_label("Search").select_option("went back")
    page.get_by_label("Outcome").select_option("solved")
    found(page, "2")
    assert "search=went+back" in page.url
    page.locator("#results a", has_text="number 0").click()
    tree = page.locator("#tree")
    tree.wait_for()
    tries = [" ".join(text.split()) for text in tree.locator(".branch > summary").all_inner_texts()]
    assert tries == [
        "Try 1 of 2 · 1 step · left: gave up",
        "Try 2 of 2 · ↩ back to step 1 · 2 steps · on the chosen path",
    ]
    left = tree.locator("#step-2")
    assert not left.is_visible()
    page.get_by_role("button", name="Expand all").click()
    assert left.is_visible()
    assert "pruned" in left.inner_text()
    page.get_by_role("button", name="Collapse all").click()
    assert not tree.locator("#step-3").is_visible()
    page.get_by_role("button", name="Next failed call (1)").click()
    failed = tree.locator("#step-3")
    assert "5 timeout" in failed.locator("summary").first.inner_text()
    assert "source: recorded" in failed.inner_text()
    assert page.evaluate("document.activeElement.parentElement.id") == "step-3"
    # By key: closed and opened again, and what was cut is said.
    page.keyboard.press("Enter")
    assert not failed.locator(".body").is_visible()
    page.keyboard.press("Space")
    failed.get_by_text("Response before it was cut").click()
    assert re.search(r"… 40,\d\d\d more characters", failed.inner_text())


def test_the_loss_mask_and_what_was_made_of_a_solution(page: "Page", report: Path) -> None:
    go(page, report, "solution.html#s0")
    page.get_by_text("The loss counts 1 of 2 turns").wait_for()
    assert [t.split()[:2] for t in page.locator(".turn h3").all_inner_texts()] == [
        ["user", "read"],
        ["assistant", "learned"],
    ]
    assert page.locator(".turn.learned").count() == 1
    go(page, report, "solution.html#s2")
    page.get_by_text("None was made from it.").wait_for()
    assert page.locator(".step").count() == 1


def test_solutions_are_found_by_words_by_id_and_page_by_page(page: "Page", night: Path, factory: Factory) -> None:
    wanted = {i.id: i for i in factory.lake.rows(factory.dataset.view, Instruction)}
    all_of_them = list(factory.lake.rows(factory.dataset.view, Solution))
    go(page, night, "solutions.html")
    found(page, str(len(all_of_them)))
    assert len(rows(page)) == 25
    page.get_by_role("button", name="Next").click()
    page.get_by_text("Page 2 of 2").wait_for()
    assert len(rows(page)) == len(all_of_them) - 25
    for word in ("country", "the", "distance"):
        page.get_by_label("Words").fill(word)
        hits = [
            s for s in all_of_them if re.search(rf"\b{word}", wanted[s.instruction_id].text + " " + s.category, re.I)
        ]
        found(page, str(len(hits)))
    page.get_by_label("Words").fill(all_of_them[7].instruction_id)
    page.get_by_role("link", name=all_of_them[7].id).click()
    page.locator("#tree").wait_for()
    assert page.url.endswith(f"solution.html#{all_of_them[7].id}")


def test_every_solution_of_a_night_opens_with_its_steps_calls_and_times(
    page: "Page", night: Path, factory: Factory
) -> None:
    taught = {c.solution_id for c in factory.lake.rows(factory.dataset.view, Conversation)}
    calls = {(c.solution_id, c.step) for c in factory.lake.rows(factory.dataset.view, ApiCall)}
    solutions = sorted(factory.lake.rows(factory.dataset.view, Solution), key=lambda s: -len(s.steps))
    go(page, night, "solution.html#none")
    page.get_by_text("There is no solution none in this report").wait_for()
    for solution in (*solutions[:3], *solutions[-3:]):
        page.evaluate("id => { location.hash = id; }", solution.id)
        page.locator("h1", has_text=solution.id).wait_for()
        page.get_by_role("button", name="Expand all").click()
        assert page.locator("#tree .step").count() == len(solution.steps) - 1
        answered = page.locator("#tree .step > .body > .meta", has_text="API answered in").count()
        assert answered == sum((solution.id, step.id) in calls for step in solution.steps)
        replied = page.locator("#tree .step > .body > .meta", has_text="teacher replied in").count()
        assert replied == len({step.turn for step in solution.steps if step.turn})
        assert (page.get_by_text("The loss counts").count() == 1) is (solution.id in taught)


def test_the_catalogue_is_searched_names_come_first_and_an_api_is_shown_in_full(page: "Page", report: Path) -> None:
    go(page, report, "catalogue.html")
    found(page, "130")
    page.get_by_label("Words").fill("forecast77 weather")
    found(page, "1")
    page.get_by_label("Words").fill("ocean")
    page.wait_for_url("**#q=ocean")
    found(page, "1")
    page.get_by_role("link", name="getForecast77").click()
    page.get_by_role("heading", name="getForecast77").wait_for()
    assert "Weather/rain/forecast77" in page.locator("#api").inner_text()
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.get_by_role("button", name="Close").click()
    page.locator("#api").wait_for(state="hidden")
    found(page, "1")
    page.get_by_role("button", name="Clear").click()
    found(page, "130")
    page.get_by_label("Category", exact=True).select_option("Finance")
    found(page, "1")
    go(page, report, "catalogue.html#q=now")
    found(page, "1")
    go(page, report, "catalogue.html#api=Weather/sky/none")
    page.get_by_text("The catalogue has no API Weather/sky/none.").wait_for()


def test_hostile_texts_are_shown_and_nothing_of_them_runs(page: "Page", report: Path) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    odd = "solution.html#" + page.evaluate("encodeURIComponent", ODD)
    shown = [f"{name}.html" for name in PAGES if name != "solution"]
    for name in (*shown, odd, "solution.html#s0", "solution.html#s1", "catalogue.html#api=Weather/sky/now"):
        page.goto("about:blank")  # else another # would be no other page
        go(page, report, name)
        settled(page, name)
        text = page.locator("body").inner_text()
        assert "<script>alert(1)</script>" in text, f"{name} shows no hostile text: the test tests nothing"
        assert "\u202e" not in text
        assert "\u2029" not in re.sub("[\u2028\u2029]", "", text)
        assert page.evaluate("window.pwned") is None, name
        assert page.locator("main img, main iframe, main svg[onload], main script").count() == 0
    assert dialogs == []
    go(page, report, "solutions.html")
    page.locator("#results a[href*='%3Cimg']").click()
    page.locator("h1", has_text=ODD).wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    page: "Page", report: Path, night: Path, scheme: Any
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    # Preloading would fetch the style sheet, which no page may; of the second scheme only colours are new.
    rules = {"preload": False, "resultTypes": ["violations"]} | (
        {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    )
    page.emulate_media(color_scheme=scheme)
    shown = [(report, f"{name}.html") for name in PAGES] + [(report, "solution.html#s0"), (night, "index.html")]
    for folder, name in [*shown, (report, "catalogue.html#api=Weather/sky/now")]:
        page.set_viewport_size({"width": 1280, "height": 900})
        go(page, folder, name)
        settled(page, name)
        violations = Axe().run(page, options=rules).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in ("serious", "critical")] == [], (
            name
        )
        for width in (1280, 400, 320):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (name, width)


def test_on_paper_everything_is_open_and_afterwards_as_it_was(page: "Page", report: Path) -> None:
    go(page, report, "solution.html#s0")
    page.locator("#tree").wait_for()
    closed = "details:not([open]):not(.sql)"
    before = page.locator(closed).count()
    assert before > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(closed).count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(closed).count() == before
    page.emulate_media(media="print")
    assert not page.get_by_role("button", name="Expand all").is_visible()
    assert not page.locator(".top nav").is_visible()


@contextmanager
def _without_scripts(chromium: "Browser") -> Iterator["Page"]:
    context = chromium.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def test_without_scripts_the_overview_reads_and_other_pages_say_what_they_need(
    chromium: "Browser", report: Path
) -> None:
    with _without_scripts(chromium) as page:
        go(page, report, "index.html")
        assert "Pass rate by group" in page.locator("main").inner_text()
        assert page.locator("main table").count() > 5
        for name in ("solutions", "solution", "catalogue"):
            go(page, report, f"{name}.html")
            assert "allow scripts for this page" in page.locator("main").inner_text()


def test_pages_and_python_name_the_same_files(page: "Page", report: Path) -> None:
    go(page, report, "solutions.html")
    texts = ["", "s0", "Wetter für Zürich", "\u2028", "😀", "a" * 1000, ODD]
    assert page.evaluate("all => all.map(toolbench.crc32)", texts) == [zlib.crc32(t.encode()) for t in texts]
    refused = page.evaluate(
        "all => Promise.all(all.map(p => toolbench.load(p).then(() => 1, () => 0)))",
        ["https://example.org/a.js", "data/../../a.js", "/etc/passwd", "data/trees/0000.js?x", "javascript:alert(1)"],
    )
    assert refused == [0] * 5


def test_the_policy_holds_for_pages_opened_from_files(chromium: "Browser", report: Path, tmp_path: Path) -> None:
    shutil.copytree(report, tmp_path / "copy")
    index = tmp_path / "copy" / "solutions.html"
    inline = "<script>window.pwned=1</script><img src=x onerror='window.pwned=2'><style>h1{color:rgb(1,2,3)}</style>"
    inline += "<script src='https://example.org/a.js'></script><script src='data:,window.pwned=3'></script>"
    index.write_text(index.read_text().replace("<h1>", f"{inline}<h1>"))
    context = chromium.new_context(offline=True)
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    page.goto(index.as_uri())
    found(page, "4")  # its own scripts and data have run
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") != "rgb(1, 2, 3)"
    assert sum("Content Security Policy" in text for text in refused) >= 4
    context.close()


def test_pages_that_are_one_file_have_their_style_and_no_other(page: "Page", tmp_path: Path) -> None:
    item = Item("q1", {"anna": "solved"}, {"gpt": "unsolved"}, instruction=small.EVIL, answer=small.EVIL)
    made = differences([item], compare([item], "pass"), small.EVIL)
    path = tmp_path / "judges.html"
    path.write_text(made)
    page.goto(path.as_uri())
    assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") == "1088px"
    assert page.evaluate("window.pwned") is None
    assert "unsafe-inline" not in made
