"""`toolbench doctor`: everything it says is checked against settings that cause it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result
from workshop import Server, an_api, publish

from toolbench.cli import doctor
from toolbench.errors import UsageError
from toolbench.lake import Lake, Spec
from toolbench.records import Api, Parameter

app = typer.Typer(pretty_exceptions_enable=False)
doctor.register(app)


@app.callback()
def _root() -> None:
    """So that `doctor` is a command of several, as it is in `toolbench`."""


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "TOOLBENCH_LAKE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A name server's answers; other names have none."""
    answers: dict[str, list[str]] = {}

    async def getaddrinfo(_: Any, host: str, port: int, **more: Any) -> Sequence[Any]:
        if host not in answers:
            raise OSError("no such name")
        return [(2, 1, 6, "", (address, port)) for address in answers[host]]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", getaddrinfo)
    return answers


def run(*arguments: str, settings: str = "") -> Result:
    Path("toolbench.toml").write_text(settings, encoding="utf-8")
    return CliRunner().invoke(app, ["doctor", *arguments], catch_exceptions=False)


def row(result: Result, start: str) -> str:
    """The line that starts so."""
    found = [line for line in result.output.splitlines() if line.startswith(start)]
    assert len(found) == 1, result.output
    return found[0].rstrip()


def lake_with(*apis: Api) -> None:
    lake = Lake("lake")
    partition = {"source": "x", "category": "Weather"}
    spec = Spec(stage="collect", label="x", partition=partition, records=[], content="x", params={})
    receipt = lake.finish(spec, {Api: list(apis)}, taken_in=len(apis), passed_on=len(apis))
    publish(lake, [receipt], ("apis",))


RULES = """
[apis.hosts]
"open.example.com" = ""
"plain.example.com" = ""
"*.p.rapidapi.com" = ""
"inside.example.com" = { private = true }
"tricky.example.com" = ""
[apis.secrets]
"*.p.rapidapi.com" = { X-RapidAPI-Key = "s3cr3t" }
"open.example.com" = { Token = "s3cr3t" }
"""


def test_urls_are_allowed_or_refused_with_the_reason(names: dict[str, list[str]]) -> None:
    names |= {
        "open.example.com": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
        "inside.example.com": ["10.0.0.1"], "tricky.example.com": ["93.184.215.14", "169.254.169.254"],
    }  # fmt: skip
    result = run("https://open.example.com/x", "https://inside.example.com/x", settings=RULES)
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [
            "https://open.example.com/x: allowed", "  93.184.215.14 is public",
            "  2606:2800:21f:cb07:6820:80da:af6b:8b2c is public",
            "https://inside.example.com/x: allowed", "  10.0.0.1 is not public: private",
        ],
    )  # fmt: skip
    expected = {
        "https://tricky.example.com/x": "leads to 169.254.169.254 (link-local), which is not public: set private",
        "https://other.example.com/x": 'add "other.example.com" to apis.hosts',
        "http://open.example.com/x": 'set http = true for "open.example.com"',
        "https://gone.p.rapidapi.com/": "gone.p.rapidapi.com does not resolve",
        "https://user@open.example.com/": "user name", "https://127.1/": "odd spelling",
        "x\x1b[2J": "control characters",
    }  # fmt: skip
    for url, reason in expected.items():
        result = run("https://open.example.com/x", url, settings=RULES)
        assert result.exit_code == 1
        assert f"{ascii(url)[1:-1]}: refused." in result.output
        assert reason in result.output
        assert "\x1b" not in result.output
    result = run("--method", "DELETE", "https://open.example.com/x", settings=RULES)
    assert "DELETE is not allowed: add it to methods" in result.output


def test_a_lake_without_apis_says_so() -> None:
    result = run()
    assert result.exit_code == 0
    assert "no table of APIs in" in row(result, "APIs")
    assert "offline" in row(result, "teacher")
    assert "is not there yet, can be made" in row(result, "lake")
    assert "live, then simulated" in row(result, "chain")
    assert not Path("lake").exists()


def test_the_lakes_hosts_are_explained_one_by_one() -> None:
    token = Parameter(name="token", shown_as="token", type="string", required=True, location="header", secret=True)
    other = Parameter(name="api_key", shown_as="api_key", type="string", required=True, secret=True)
    lake_with(
        *(an_api("A", f"a{n}", url=f"https://open.example.com/{n}", parameters=[token, other]) for n in range(3)),
        an_api("B", "b1", url="http://plain.example.com/x"),
        an_api("B", "b2", url="https://plain.example.com/x", method="POST"),
        an_api("C", "c", url="https://W.p.rapidapi.com/x"),
        an_api("D", "d", url="https://unknown.example.com/x"),
        an_api("E", "e", url="https://u:p@open.example.com/x"),
    )
    result = run(settings=RULES)
    assert result.exit_code == 1
    assert " ".join(row(result, "open.example.com").split()) == (
        "open.example.com 3 yes GET, allowed GET HEAD token set, api_key missing"
    )
    assert " ".join(row(result, "plain.example.com").split()) == (
        "plain.example.com 2 http only (1), method (1) GET POST, allowed GET HEAD"
    )
    assert row(result, "w.p.rapidapi.com").endswith("X-RapidAPI-Key set")
    assert "unknown host (1)" in row(result, "unknown.example.com")
    assert "no valid URL (1)" in row(result, "(no valid URL)")
    assert "4 of 8 may be called live; not: " in row(result, "APIs")
    assert "s3cr3t" not in result.output
    # Nobody is called where the chain has no live source: then nothing is wrong.
    result = run(settings=RULES + '[apis]\nchain = ["simulated"]\n')
    assert result.exit_code == 0
    assert "the chain has no `live`" in row(result, "APIs")


def test_many_hosts_are_cut_to_the_largest() -> None:
    apis = [an_api(f"T{n}", "x", url=f"https://h{n:02d}.example.org/x") for n in range(40)]
    lake_with(*apis, an_api("T39", "y", url="https://h39.example.org/y"))
    result = run(settings='[apis.hosts]\n"*.example.org" = ""\n')
    assert result.exit_code == 0
    hosts = [line.split()[0] for line in result.output.splitlines() if ".example.org" in line]
    assert hosts == ["h39.example.org", *(f"h{n:02d}.example.org" for n in range(29))]
    assert "and 10 more hosts" in result.output


def test_the_demo_hub_is_allowed_because_a_run_starts_it() -> None:
    lake_with(an_api("Hub", "x", url="http://hub.toolbench.test/x/y", method="POST"))
    assert run().exit_code == 0
    assert run(settings='[catalogue]\nsource = "elsewhere"\n').exit_code == 1


def test_the_teachers_endpoint_is_asked_only_on_demand(honest_teacher: Server) -> None:
    settings = f'[teacher]\nbase_url = "{honest_teacher.url}/v1"\nmodel = "m"\napi_key = "s3cr3t"\n'
    result = run(settings=settings)
    assert row(result, "teacher").endswith(f"m at {honest_teacher.url}/v1, a key is set; --online asks it")
    result = run("--online", settings=settings)
    assert (result.exit_code, row(result, "teacher").endswith("it answers")) == (0, True)
    gone = settings.replace(honest_teacher.url, "http://127.0.0.1:9")
    assert run(settings=gone).exit_code == 0
    result = run("--online", settings=gone)
    assert result.exit_code == 1
    assert "cannot be reached" in row(result, "teacher")
    result = run(settings='[teacher]\nmodel = "m"\n')
    assert (result.exit_code, "set OPENAI_API_KEY" in row(result, "teacher")) == (1, True)
    assert "s3cr3t" not in result.output


def test_a_lake_that_cannot_be_written_to_is_found() -> None:
    Path("file").write_text("x")
    result = run("--lake", "file/lake")
    assert result.exit_code == 1
    assert "is a file where a folder is needed" in row(result, "lake")
    result = run("--lake", "memory://doctor")
    assert "can be written to" in row(result, "lake")
    assert Lake("memory://doctor").store.list("drafts") == []


def test_a_bucket_that_is_not_there_is_found(moto_server: str) -> None:
    assert "can be written to" in row(run("--lake", "s3://bucket/factory"), "lake")
    result = run("--lake", "s3://no-such-bucket/factory")
    assert result.exit_code == 1
    assert "Cannot write the lake" in row(result, "lake")


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name not in ("astral", "torch"))
    result = run()
    assert result.exit_code == 1
    assert "missing: astral; pip install 'toolbench[demo]'" in row(result, "extra demo")
    assert "missing: torch; pip install 'toolbench[train]'" in row(result, "extra train")
    settings = '[teacher]\nbase_url = "http://127.0.0.1:9/v1"\n[catalogue]\nsource = "x"\nresponses = "gone.tar.gz"\n'
    result = run(settings=settings)
    assert "ok" in row(result, "extra demo").split()
    assert "gone.tar.gz does not exist" in row(result, "responses")


def test_settings_that_name_no_host_are_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"Setting apis\.hosts has an entry that is no host"):
        run("https://x.example.com/", settings='[apis.hosts]\n"https://x.example.com/" = ""\n')
