"""`toolbench up` before anything is started: what it refuses, and what it tells the programs it starts."""

import fcntl
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from toolbench.cli import app, up_programs
from toolbench.cli.up_programs import Place, environment
from toolbench.errors import ToolbenchError, UsageError
from toolbench.settings import Settings, load
from toolbench.settings import environment as environment_of


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("OPENAI_", "TOOLBENCH_", "PREFECT_", "AWS_")) and not name.startswith("TOOLBENCH_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["up", *arguments])
    assert isinstance(result.exception, UsageError), result.output
    return str(result.exception)


def test_a_port_that_is_taken_is_named_with_its_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = refusal("--port", str(port))
        assert said == f"Port {port} cannot be had (Address already in use): choose another one with --port."
        free = socket.create_server(("127.0.0.1", 0))
        other = free.getsockname()[1]
        free.close()
        assert refusal("--port", str(other), "--s3", "--s3-port", str(port)).endswith("another one with --s3-port.")


def test_a_lake_in_memory_is_refused() -> None:
    assert refusal("--lake", "memory://x").startswith("The lake memory://x is in one process's memory: give a folder")


def test_another_kind_of_database_is_refused() -> None:
    assert refusal("--database", "mysql://me:hunter2@host/x") == (
        "A database mysql://… is none that Prefect knows: give postgresql://user:password@host/name."
    )


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up_programs, "find_spec", lambda name: None)
    assert refusal("--s3").endswith("install it with pip install 'toolbench[s3]'.")


def test_one_runs_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with (tmp_path / "state" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 7, http://127.0.0.1:4200")
        lock.flush()
        said = refusal("--folder", "state")
    assert said.endswith("state already (process 7, http://127.0.0.1:4200): stop it, or choose another --folder.")
    assert (tmp_path / "state" / ".gitignore").read_text() == "*\n"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    assert refusal("--folder", "state").endswith("(File exists): choose another --folder.")


def test_what_does_not_come_up_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_SERVER_API_HOST", "")
    place = Place(tmp_path, 4200, 0, "postgresql://me:hunter2@127.0.0.1:9/none")
    monkeypatch.setattr(up_programs, "Program", _Failing)
    from contextlib import ExitStack

    with (
        ExitStack() as stack,
        pytest.raises(ToolbenchError, match=r"^The Prefect server did not come up: no \*\*\*; see"),
    ):
        up_programs.ready(up_programs.server(stack, place, os.environ), f"{place.api}/health", "The Prefect server")
    assert _Failing.told["PREFECT_SERVER_DATABASE_CONNECTION_URL"].startswith("postgresql+asyncpg://me:")


class _Failing(up_programs.Program):
    """A program that ends at once and quotes the password."""

    told: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, name: str, command: Sequence[str], variables: Mapping[str, str], folder: Path, secret: str = ""
    ) -> None:
        type(self).told = variables
        super().__init__(name, ["this"], variables, folder, secret)
        self.process.wait()
        self.log.write_text(f"no {secret}\n")


def test_what_is_started_elsewhere_loads_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLBENCH_SEARCH__WIDTH", "3")
    monkeypatch.setenv("TOOLBENCH_LAKE", "elsewhere")
    (tmp_path / "toolbench.toml").write_text(
        '[teacher]\nmodel = "m"\nprices = {m = [1.0, 2.0]}\napi_key = "hunter2"\n'
        '[apis.hosts]\n"a.example" = { private = true }\n[apis.secrets."a.example"]\nkey = "hunter3"\n'
    )
    settings = load({"lake": str(tmp_path / "lake"), "catalogue.categories": ["Weather"], "seed": 5}).settings
    variables = environment_of(settings)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "toolbench.toml").write_text("[search]\nwidth = 8\n[teacher]\nrpm = 4\n")
    monkeypatch.chdir(tmp_path / "other")
    for name in [n for n in os.environ if n.startswith("TOOLBENCH_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = load().settings
    assert found == settings
    assert (found.search.width, found.teacher.rpm, found.teacher.api_key.get_secret_value()) == (3, 0, "hunter2")


def test_prefect_of_the_folder_is_the_one_that_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere.test/api")
    monkeypatch.setenv("PREFECT_PROFILE", "mine")
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql://me:hunter2@host/x")
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "user:password")
    monkeypatch.setenv("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "60")
    told = environment(Settings(), Place(tmp_path, 4300, 0, ""))
    assert told["PREFECT_API_URL"] == told["PREFECT_SERVER_UI_API_URL"] == "http://127.0.0.1:4300/api"
    assert told["PREFECT_API_AUTH_STRING"] == "user:password"
    assert told["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "60"
    assert not {"PREFECT_PROFILE", "PREFECT_SERVER_DATABASE_CONNECTION_URL"} & told.keys()


def test_paths_mean_the_same_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolbench.cli.up import _settled

    relative = Settings().with_(catalogue={"source": "./openapi", "responses": "cache.tar.gz"})
    settled = _settled(relative, s3=False)
    assert settled.lake == str(tmp_path / "lake")
    assert settled.catalogue.source == str(tmp_path / "openapi")
    assert settled.catalogue.responses == str(tmp_path / "cache.tar.gz")
    assert settled.retriever.base == "minilm"
    assert _settled(relative, s3=True).lake == "s3://toolbench/lake"
    for kept in ("stdio:python server.py", "https://a.example/openapi.json", "s3://bucket/openapi", ""):
        assert _settled(Settings().with_(catalogue={"source": kept}), s3=False).catalogue.source == kept
    mine = Settings().model_copy(update={"lake": "s3://mine/lake"})
    assert _settled(mine, s3=True).lake == "s3://mine/lake"
