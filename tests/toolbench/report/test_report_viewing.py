"""`toolbench view`: a report that follows its lake, for this machine alone, of its own files alone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import report_lake as small
from typer.testing import CliRunner
from workshop import Server

from toolbench.cli import app
from toolbench.errors import UsageError
from toolbench.lake import Lake, Spec
from toolbench.records import Instruction, Tool
from toolbench.report import progress, viewing
from toolbench.report.progress import Stage, under_way
from toolbench.report.serving import check_loopback, create_app, within
from toolbench.report.viewing import Viewer

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def viewer(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Viewer]:
    """One that looks every tenth of a second, at a lake in which nothing was published yet."""
    monkeypatch.setattr(viewing, "_EVERY", 0.1)
    with Viewer(lake, tmp_path / "pages") as found:
        yield found


@pytest.fixture
def server(viewer: Viewer) -> Iterator[Server]:
    running = Server(create_app(viewer))
    yield running
    running.stop()


def planned(lake: Lake, number: int) -> Spec:
    spec = Spec(stage="solutions", label="", partition={}, records=[], content=str(number), params={})
    lake.put_spec(spec)
    return spec


def test_pages_follow_the_lake_while_a_night_runs(lake: Lake, server: Server, page: "Page") -> None:
    page.goto(server.url)
    page.get_by_role("heading", name="Nothing is published yet").wait_for()
    specs = [planned(lake, n) for n in range(3)]
    page.get_by_text("solutions 0 of 3 shards").wait_for()
    lake.finish(specs[0], {}, taken_in=0, passed_on=0)
    page.get_by_text("solutions 1 of 3 shards").wait_for()
    small.publish(lake, {Tool: [small.tool("sky")]})
    page.get_by_text("toolbench, snapshot 1").wait_for()
    page.goto(f"{server.url}/solutions.html")
    page.get_by_text("No solutions yet.").wait_for()
    small.publish(lake, small.rows())
    page.get_by_text("3 of 3 found.").wait_for()
    page.locator("#results a").first.click()
    page.locator("#tree").wait_for()


def test_what_cannot_be_built_is_said_and_the_last_report_stays(lake: Lake, viewer: Viewer) -> None:
    small.publish(lake, small.rows())
    viewer.look()
    assert (viewer.state.report, viewer.state.problem) == (1, "")
    broken = small.publish(lake, {Instruction: [small.instruction(7)]})
    lake.store.delete([e.path for e in broken.entries("instructions")])
    while not viewer.state.problem:
        time.sleep(0.02)
    assert "missing" in viewer.state.problem
    assert (viewer.state.report, viewer.state.building) == (1, False)
    assert (viewer.root / "index.html").is_file()


def test_only_files_of_the_report_are_served_and_only_to_this_machine(
    lake: Lake, viewer: Viewer, server: Server
) -> None:
    small.publish(lake, small.rows())
    while viewer.state.report != 1:
        time.sleep(0.02)
    found = httpx.get(f"{server.url}/index.html")
    assert found.status_code == 200
    assert "connect-src 'self'" in found.headers["content-security-policy"]
    assert found.headers["x-content-type-options"] == "nosniff"
    for wanted in ("data/toolbench-report.txt", "none.html", "", "data", "/etc/passwd"):
        assert httpx.get(f"{server.url}/{wanted}").status_code in (404, 307), wanted
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80", "[fe80::1]", ""):
        for path in ("index.html", "live"):
            assert httpx.get(f"{server.url}/{path}", headers={"host": host}).status_code in (400, 421), host
    for host in ("localhost:9", "127.0.0.1", "[::1]:80", "127.0.0.2"):
        assert httpx.get(f"{server.url}/index.html", headers={"host": host}).status_code == 200, host


@pytest.mark.parametrize(
    "path",
    ["../secret.html", "a/../../secret.html", "./index.html", "//index.html", "a\\..\\index.html", "index.html\0",
     "link.html", "x" * 5000 + ".html", "folder.html", "secret.txt", "..%2fsecret.html", "a/"],
)  # fmt: skip
def test_no_path_leads_out_of_the_report(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "folder.html").mkdir()
    (tmp_path / "secret.html").write_text("secret")
    (root / "secret.txt").write_text("not of the report")
    (root / "link.html").symlink_to(tmp_path / "secret.html")
    (root / "index.html").write_text("x")
    assert within(root, "index.html") == root / "index.html"
    assert within(root, path) is None


def test_progress_is_of_shards_planned_since_the_last_snapshot_and_ends_when_nothing_happens(lake: Lake) -> None:
    assert under_way(lake) == []
    planned(lake, 0)
    assert under_way(lake) == [Stage("solutions", 0, 1)]
    small.publish(lake, {Tool: [small.tool("sky")]})
    for key in ("specs", "journals"):
        for name, _ in lake.store.list(key):
            os.utime(lake.store.path(name), (1, 1))
    assert under_way(lake) == []
    spec = planned(lake, 1)
    latest = max(found.modified for found in lake.store.look("specs"))
    assert under_way(lake, latest + progress.QUIET - 1) == [Stage("solutions", 0, 1)]
    assert under_way(lake, latest + progress.QUIET + 1) == []
    lake.store.write(f"journals/{spec.digest}/x.parquet", b"answers")
    os.utime(lake.store.path(f"journals/{spec.digest}/x.parquet"), (latest + 500, latest + 500))
    assert under_way(lake, latest + progress.QUIET + 1) == [Stage("solutions", 0, 1)]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", ""])
def test_others_are_not_served(host: str) -> None:
    with pytest.raises(UsageError, match="Others can reach"):
        check_loopback(host)


def test_loopback_is_served() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        check_loopback(host)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "There is no folder nowhere"),
        (["empty"], "neither a lake nor a folder of ToolBench's answer files"),
        (["other"], "None of the 1 JSON files in other is one of ToolBench's answers."),
        (["lake", "--host", "0.0.0.0"], "Others can reach 0.0.0.0"),
        (["lake", "--port", "99999"], "Cannot listen on 127.0.0.1:99999"),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.json").write_text(json.dumps({"win": True}))
    small.publish(Lake(str(tmp_path / "lake")), {Tool: [small.tool("sky")]})
    (tmp_path / "lake" / "lake.json").write_text("{}")
    ended = CliRunner().invoke(app, ["view", *arguments, "--no-browser"])
    assert isinstance(ended.exception, UsageError)
    assert str(ended.exception).startswith(said) or said in str(ended.exception)


def test_it_says_its_port_serves_and_ends_with_its_input_leaving_nothing(tmp_path: Path) -> None:
    small.publish(Lake(str(tmp_path / "lake")), small.rows())
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "toolbench", "view", "lake", "--until-eof"]
    there = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    (tmp_path / "lake" / "lake.json").write_text("{}")
    with subprocess.Popen(command, cwd=tmp_path, env=there, text=True, **pipes) as running:  # type: ignore[call-overload]
        assert running.stdout
        port = json.loads(running.stdout.readline())["port"]
        with httpx.stream("GET", f"http://127.0.0.1:{port}/live") as stream:
            assert next(stream.iter_lines()).startswith('data: {"report": 1')
            assert "snapshot 1" in httpx.get(f"http://127.0.0.1:{port}/index.html").text
            _, errors = running.communicate(timeout=60)  # closes its input while a page listens
    assert errors == "making pages …\n"
    assert list((tmp_path / "tmp").iterdir()) == []
