"""The chat page in a real browser."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from agent_lake import (
    ALL,
    APIS,
    FINE,
    RAIN,
    Held,
    Scripted,
    answering,
    calling,
    ending,
    giving_up,
    laid,
    under_way,
    until,
)
from workshop import Server, settings_for

from toolbench.agent import Agent, retriever
from toolbench.agent.app import create_app
from toolbench.lake import Lake
from toolbench.teacher.offline import create_app as create_teacher

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = "\"'><img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script></textarea>{{7*7}}"
BACK = [RAIN, giving_up("That leads nowhere."), calling("weather_for_sea", {"city": "Oslo"}, "Another way."), FINE]


def expect(what: Any) -> Any:
    from playwright.sync_api import expect as playwrights

    playwrights.set_options(timeout=20_000)
    return playwrights(what)


def ask(page: "Page", question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_the_answer_of_the_offline_teacher_streams(page: "Page", start: Callable[..., str]) -> None:
    held = Held(create_teacher())
    server = Server(held)
    held.allowed = 1
    page.goto(start(teacher={"base_url": f"{server.url}/v1"}))
    expect(page.locator("#about")).to_have_text("4 APIs (snapshot 1), model offline-teacher, search dfsdt")
    ask(page, "How much rain will Oslo have?")
    expect(page.get_by_text("4 APIs proposed")).to_be_visible()
    expect(page.locator(".step")).to_have_count(1)
    expect(page.locator(".note")).to_have_text("Searching… 1 step")
    expect(page.locator(".tag.simulated")).to_have_text("simulated")
    assert page.locator(".text").text_content() == "", "the tree grows before there is an answer"
    held.allowed = ALL
    expect(page.locator(".text")).not_to_have_text("")
    expect(page.locator(".note")).to_have_text("2 steps, 2 replies of the model")
    expect(page.get_by_role("status")).to_contain_text("Answer: ")
    server.stop()


def test_the_tree_shows_where_the_search_went_back(page: "Page", url: str, teacher: Scripted) -> None:
    teacher.says(*BACK)
    page.goto(url)
    ask(page, "Will it rain in Oslo?")
    expect(page.locator(".text")).to_have_text("It will rain in Oslo.")
    expect(page.locator(".step")).to_have_count(4)
    expect(page.locator(".tree > ol > li")).to_have_count(2)
    expect(page.get_by_text("Went back: try 2 at this point")).to_be_visible()
    expect(page.locator("li.given-up > .step")).to_contain_text("Gave up here")
    expect(page.locator("li.chosen > .step .ending")).to_have_text("Answered")
    expect(page.locator("li.chosen")).to_have_count(2)
    scores = [float(text) for text in page.locator(".score").all_text_contents()]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    response = page.locator(".response").first
    expect(response.locator("pre")).not_to_be_visible()
    response.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(response.locator("pre")).to_contain_text('"error": ""')


def test_it_is_used_by_keys_alone_and_goes_on_talking(page: "Page", url: str, teacher: Scripted) -> None:
    teacher.says(FINE)
    page.goto(url)
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type("Will it rain?")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("In Oslo?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Will it rain? In Oslo?")).to_be_visible()
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type("And tomorrow?")
    page.keyboard.press("Enter")
    expect(page.locator(".text")).to_have_count(2)
    expect(page.locator(".text").nth(1)).not_to_have_text("")
    system, user = teacher.asked[-1]["messages"]
    assert "User: Will it rain?\nIn Oslo?\nAssistant: It will rain in Oslo." in system["content"]
    assert "And tomorrow?" in user["content"]
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".turn")).to_have_count(0)
    ask(page, "Anew")
    expect(page.locator(".text")).not_to_have_text("")
    assert "User: Will it rain?" not in teacher.asked[-1]["messages"][0]["content"]


@pytest.mark.parametrize("how", ["button", "Escape"])
def test_stop_ends_the_search(page: "Page", url: str, teacher: Scripted, how: str) -> None:
    teacher.says(*[calling("rain_for_sky", {"city": f"c{n}"}) for n in range(99)], allowed=2)
    page.goto(url)
    ask(page, "Will it rain in Oslo?")
    expect(page.locator(".step")).to_have_count(2)
    until(lambda: teacher.came == 3)
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_be_focused()
    if how == "button":
        stop.click()
    else:
        page.keyboard.press("Escape")
    expect(page.locator(".note")).to_have_text("Stopped.")
    expect(page.get_by_label("Your question")).to_have_value("Will it rain in Oslo?")
    until(lambda: ending(url) == 1)
    teacher.allowed = ALL  # the reply under way comes
    until(lambda: under_way(url) == (0, 0))
    assert len(teacher.asked) == 3


def test_who_reads_the_tree_is_not_taken_away_by_the_answer(page: "Page", url: str, teacher: Scripted) -> None:
    teacher.says(RAIN, FINE, allowed=1)
    page.goto(url)
    ask(page, "Will it rain in Oslo?")
    response = page.locator(".response summary")
    response.focus()
    teacher.allowed = ALL
    expect(page.locator(".text")).to_have_text("It will rain in Oslo.")
    expect(response).to_be_focused()


def test_a_failure_is_said_and_the_question_kept(page: "Page", start: Callable[..., str]) -> None:
    page.goto(start(teacher={"base_url": "http://127.0.0.1:9/v1"}))
    ask(page, "Will it rain in Oslo?")
    expect(page.locator(".note.error")).to_contain_text("cannot be reached")
    expect(page.get_by_label("Your question")).to_have_value("Will it rain in Oslo?")


def test_the_key_is_asked_for_and_kept_in_the_tab(
    page: "Page", chromium: "Browser", start: Callable[..., str], teacher: Scripted
) -> None:
    teacher.says(FINE)
    keyed = start(agent={"api_keys": "sesame"})
    page.goto(keyed)
    expect(page.get_by_label("Your question")).not_to_be_visible()
    page.get_by_label("Key of this server").fill("sesame")
    page.keyboard.press("Enter")
    ask(page, "Will it rain?")
    expect(page.locator(".text")).to_have_text("It will rain in Oslo.")
    page.reload()
    expect(page.get_by_label("Your question")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
    # The browser itself reports a 401 on the console, so that this page is one of its own.
    other = chromium.new_page()
    other.goto(keyed)
    other.get_by_label("Key of this server").fill("open")
    other.keyboard.press("Enter")
    expect(other.get_by_role("alert")).to_have_text("The server does not know this key.")
    expect(other.get_by_label("Key of this server")).to_be_focused()
    assert other.evaluate("sessionStorage.length") == 0
    other.close()


@pytest.fixture(scope="module")
def hostile(tiny_base: str, place: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hostile")
    lake = Lake(str(folder / "lake"))
    example = json.dumps({EVIL: EVIL})
    apis = [
        dataclasses.replace(APIS[0], description=EVIL, tool=EVIL, name=EVIL, response_example=example),
        dataclasses.replace(APIS[1], id=f"Weather/{EVIL}", description=EVIL, response_example=example),
    ]
    with retriever(lake, laid(lake, tiny_base, folder / "model", apis)) as found:
        server = Server(create_app(Agent(found, settings_for(lake, place.teacher_url))))
        yield server.url
        server.stop()


def test_hostile_text_stays_text(page: "Page", hostile: str, teacher: Scripted) -> None:
    teacher.says(
        calling("rain_for_sky", {"city": EVIL}, EVIL),
        calling(EVIL, EVIL, EVIL),
        answering(EVIL, EVIL),
    )
    page.goto(hostile)
    title = page.title()
    ask(page, EVIL)
    expect(page.locator(".text")).to_have_text(EVIL)
    assert page.locator("h2").text_content() == EVIL
    assert page.locator(".thought").all_text_contents() == [EVIL] * 3
    assert EVIL in page.locator(".proposed").inner_text()
    assert "onerror" in (page.locator(".response pre").first.text_content() or "")
    assert page.locator(":is(main, footer) :is(img, script, iframe, object, a, style)").count() == 0
    page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    page.wait_for_timeout(200)
    assert page.title() == title


def test_the_policy_stops_what_would_slip_through(chromium: "Browser", url: str) -> None:
    page = chromium.new_page()
    page.goto(url)
    sinks = (
        "document.body.innerHTML = '<b>x</b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
        "document.createElement('img').setAttribute('onerror', 'document.title = 1')",
        "document.createElement('script').text = 'document.title = 1'",
    )
    for sink in sinks:
        with pytest.raises(Exception, match="Trusted"):
            page.evaluate(f"() => {{ {sink} }}")
    assert page.title() == "toolbench agent"
    refused = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.name)")
    assert refused == "TypeError"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_everybody_can_use_it(page: "Page", url: str, teacher: Scripted, scheme: Any, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    teacher.says(*BACK)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(url)
    ask(page, "Will it rain in Oslo, in Bergen, or in a place with a very long name, Llanfairpwllgwyngyllgogery?")
    expect(page.locator(".note")).to_have_text("4 steps, 4 replies of the model")
    page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    found = Axe().run(page)
    serious = [v for v in found.response["violations"] if v["impact"] in ("serious", "critical")]
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
