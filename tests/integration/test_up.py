"""`toolbench up --s3`, started once, used as a person uses it: in a browser, by its inbox, and stopped by Ctrl-C.

Screenshots go to the folder TOOLBENCH_TEST_SCREENSHOTS, otherwise to a temporary one. The tests build on each other.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from toolbench.demo import HOST, documents
from toolbench.lake import Lake
from toolbench.records import Api
from toolbench.settings import MARK

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

pytest.importorskip("ministack", reason="needs ministack: pip install 'toolbench[s3]'")

KNOWN = ("/favicon.ico", "/ico/undefined.svg")
"""What Prefect's own pages ask for and do not get."""
PATIENCE = 240.0
"""Seconds that a step may take on a machine that is busy with other things; on one that is not it takes a few."""
DROPPED, ASKED_FOR = "Education", "Mapping"


@dataclass(frozen=True, slots=True)
class Up:
    """One that runs."""

    process: subprocess.Popen[str]
    folder: Path
    url: str
    s3: dict[str, str]
    environment: dict[str, str]

    def ask(self, path: str, **body: Any) -> Any:
        """Prefect's answer; while its database is locked it says 503, upon which its own clients ask again, too."""
        for _ in range(10):
            answer = httpx.post(f"{self.url}/api/{path}", json=body, timeout=60)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        return answer.raise_for_status().json()

    def deployment(self, name: str) -> str:
        (found,) = self.ask("deployments/filter", deployments={"name": {"any_": [name]}})
        return str(found["id"])

    def runs(self, **wanted: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("flow_runs/filter", flow_runs=wanted)
        return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until(what: Callable[[], Any], folder: Path) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline, logs(folder)
        time.sleep(0.3)
    return found


def marked() -> list[str]:
    """What runs and was started by an `up`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and MARK in process.environ():
                found.append(f"{process.pid} {process.environ()[MARK]} {' '.join(process.cmdline())}")
    return found


def logs(folder: Path) -> str:
    return "\n".join(f"{p.name}: {p.read_text(errors='replace')[-1500:]}" for p in folder.glob(".toolbench/logs/*.log"))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder, port, s3_port = tmp_path_factory.mktemp("up"), free_port(), free_port()
    foreign = ("TOOLBENCH_", "OPENAI_", "PREFECT_", "AWS_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    kept |= {"TOOLBENCH_INSTRUCTIONS__TOTAL": "6", "TOOLBENCH_JUDGE__VOTES": "1", "OMP_NUM_THREADS": "1"}
    kept |= {"TOOLBENCH_INSTRUCTIONS__GROUPS": '["I1"]'}
    command = [sys.executable, "-m", "toolbench", "up", "--port", str(port), "--s3", "--s3-port", str(s3_port)]
    process = subprocess.Popen(
        command, cwd=folder, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("or the form"):
                break
        assert process.poll() is None, f"{''.join(said)}\n{logs(folder)}"
        keys = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}", "AWS_DEFAULT_REGION": "us-east-1"}
        keys |= {"AWS_ACCESS_KEY_ID": "toolbench", "AWS_SECRET_ACCESS_KEY": "toolbench"}
        yield Up(process, folder, f"http://127.0.0.1:{port}", keys, kept)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


@pytest.fixture
def lake(up: Up, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """The lake on the S3 server that `up` started."""
    import s3fs

    for name, value in up.s3.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield Lake("s3://toolbench/lake")
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def ui(chromium: "Browser", up: Up) -> Iterator["Page"]:
    """A page that fails for requests that leave this machine, and for requests that the server refuses as wrong.

    The pages are Prefect's: now and then their code fails over itself (a run's graph goes on drawing after its page was
    left), and is told 503 while SQLite is locked. What we put there, forms and artifacts, is looked at by its content.
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 1000}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    wrong: list[str] = []

    def answered(response: "Response") -> None:
        if 400 <= response.status < 500 and not any(known in response.url for known in KNOWN):
            wrong.append(f"{response.status} {response.url}")

    page.on("response", answered)
    page.on("request", lambda r: None if r.url.startswith((f"{up.url}/", "data:", "blob:")) else wrong.append(r.url))
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def shoot(ui: "Page", tmp_path: Path) -> Callable[[str], None]:
    folder = Path(os.environ.get("TOOLBENCH_TEST_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name: ui.screenshot(path=folder / f"prefect-{name}.png", full_page=True) and None


def test_a_document_in_the_inbox_is_requested_once(up: Up, lake: Lake) -> None:
    for number, document in enumerate(d for d in documents() if d["info"]["x-category"] == DROPPED):
        lake.store.write(f"inbox/{DROPPED}/{number}.json", json.dumps(document).encode())
    watch = up.deployment("inbox")
    # Prefect's scheduler has planned the looks of the next minutes; this one need not be waited for.
    until(lambda: up.runs(deployment_id={"any_": [watch]}, state={"type": {"any_": ["SCHEDULED"]}}), up.folder)
    for _ in range(2):
        run = up.ask(f"deployments/{watch}/create_flow_run", parameters={"options": {}, "inbox": {"settle_seconds": 0}})
        until(lambda run=run: _state(up, run) in ("COMPLETED", "CANCELLED"), up.folder)
    there = up.deployment("on-demand")
    (requested,) = until(lambda: up.runs(deployment_id={"any_": [there]}), up.folder)
    assert requested["parameters"] == {
        "category": DROPPED, "source": f"s3://toolbench/lake/inbox/{DROPPED}", "options": {},
    }  # fmt: skip


def _state(up: Up, run: dict[str, Any]) -> str:
    return str(httpx.get(f"{up.url}/api/flow_runs/{run['id']}", timeout=60).json()["state_type"])


def submit(ui: "Page") -> None:
    """Press the button, and again where the page says that it could not be done: SQLite was locked."""
    from playwright.sync_api import expect

    tried = 0
    while True:
        with ui.expect_response("**/create_flow_run") as answer:
            ui.get_by_role("button", name="Submit").click()
        if answer.value.status != httpx.codes.SERVICE_UNAVAILABLE or tried == 5:
            break
        tried += 1
    expect(ui).to_have_url(re.compile(r"/deployments/deployment/[^/]+\?tab=Runs"))


def test_somebody_fills_in_the_form_and_watches_the_run(up: Up, ui: "Page", shoot: Callable[[str], None]) -> None:
    ui.goto(f"{up.url}/deployments")
    ui.get_by_role("link", name="on-demand").first.click()
    ui.get_by_role("button", name="Run", exact=True).first.click()
    ui.get_by_text("Custom run").click()
    for label, text in (("category", ASKED_FOR), ("source", f"http://{HOST}/index.json")):
        ui.locator(f"xpath=//*[normalize-space(text())='{label}']/following::textarea[1]").fill(text)
    for described in ("The category as the source names it", "Where the tables are", "Instructions aimed at"):
        ui.get_by_text(described).first.wait_for()
    shoot("form")
    submit(ui)
    ui.locator("a[href*='/runs/flow-run/']").first.click()
    ui.get_by_text("Running", exact=True).first.wait_for()
    shoot("running")
    ui.get_by_text("Completed", exact=True).first.wait_for()
    ui.get_by_text("Subflow Runs").click()
    part = ui.locator("a[href*='/runs/flow-run/']", has_text="generate-instructions")
    part.first.wait_for()
    shoot("completed")
    part.first.click()
    ui.get_by_text("Artifacts", exact=True).click()
    ui.get_by_text("instructions-progress").first.wait_for()
    shoot("artifacts")
    made = {a["key"]: a for a in reversed(up.ask("artifacts/filter", sort="CREATED_DESC", limit=200))}
    assert {"instructions-progress", "instructions-counts", "solutions-counts", "night"} <= set(made)
    ui.goto(f"{up.url}/artifacts/artifact/{made['instructions-counts']['id']}")
    ui.get_by_text(ASKED_FOR, exact=True).first.wait_for()
    shoot("table")
    ui.goto(f"{up.url}/artifacts/artifact/{made['night']['id']}")
    ui.get_by_role("img").first.wait_for()
    shoot("night")


def test_both_ways_ended_in_the_lake(up: Up, lake: Lake) -> None:
    snapshot = lake.snapshot()
    assert {api.category for api in lake.rows(snapshot, Api)} == {DROPPED, ASKED_FOR}
    assert snapshot.rows("instructions") > 0


def test_a_second_one_in_the_same_folder_says_where_the_first_is(up: Up) -> None:
    command = [sys.executable, "-m", "toolbench", "up", "--port", str(free_port())]
    done = subprocess.run(command, cwd=up.folder, env=up.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"(process {up.process.pid}, {up.url})" in done.stderr


def test_ctrl_c_in_the_middle_of_a_run_leaves_no_process(up: Up) -> None:
    mine = {line.split()[1] for line in marked()}
    assert mine, "nothing was marked"
    there = up.deployment("nightly")
    run = up.ask(f"deployments/{there}/create_flow_run", parameters={"options": {"more": {"search.width": 4}}})
    until(lambda: _state(up, run) == "RUNNING", up.folder)
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(PATIENCE) == 0
    assert up.process.stdout is not None
    assert up.process.stdout.read().endswith("toolbench: stopped; the same command goes on from here.\n")
    assert [line for line in marked() if line.split()[1] in mine and str(up.folder) in line] == []
