"""The command line as a user meets it: a process, an exit code, and one sentence where something is wrong."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from workshop import Factory, Server

from toolbench import __version__
from toolbench.teacher.offline import create_app

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


def toolbench(folder: Path, *arguments: str, **environment: str) -> Ended:
    """The command `toolbench` with these arguments."""
    return run([sys.executable, "-m", "toolbench", *arguments], folder, environment)


def run(command: list[str], folder: Path, environment: dict[str, str]) -> Ended:
    """Run a process in `folder`, with nothing of our own environment's settings."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TOOLBENCH_", "OPENAI_", "PREFECT_"))}
    clean |= {"PYTHONPATH": str(REPOSITORY), "PREFECT_HOME": str(folder / "prefect"), "COLUMNS": "200", **environment}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=180)
    return Ended(done.returncode, done.stdout, done.stderr)


def said(ended: Ended, code: int) -> str:
    """The one sentence of an error."""
    assert "Traceback" not in ended.err, ended.err
    assert ended.code == code, ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("toolbench: ")]
    assert len(lines) == 1, ended.err
    assert lines[0].endswith(".")
    return lines[0]


def test_version_and_help(tmp_path: Path) -> None:
    assert toolbench(tmp_path, "--version") == Ended(0, f"toolbench {__version__}\n", "")
    out = toolbench(tmp_path, "--help")
    assert out.code == 0
    for command in ("refresh", "annotate", "add-category", "config", "report", "view", "hub", "teacher", "lake"):
        assert command in out.out
    assert not list(tmp_path.iterdir()), "help leaves nothing behind"


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (("config",), {"TOOLBENCH_SERCH__WIDTH": "3"}, "TOOLBENCH_SERCH__WIDTH names no setting"),
        (("config",), {"TOOLBENCH_SEARCH__WITDH": "3"}, "there is no such setting"),
        (("config",), {"TOOLBENCH_SEARCH__WIDTH": "many"}, "Setting search.width (from TOOLBENCH_SEARCH__WIDTH)"),
        (("lake", "show", "apps"), {}, "There is no table 'apps'; choose one of tools, apis"),
        (("lake", "ls", "--lake", "ftp://x/y"), {}, "uses ftp://"),
        (("refresh", "--lake", ""), {}, "Setting lake (from --lake): String should have at least 1 character"),
        (("hub", "--port", "99999"), {}, "Cannot listen on 127.0.0.1:99999"),
        (("annotate", "--instructions", "gone.json"), {}, "The instructions gone.json are no file"),
        (("refresh", "--groups", "I4"), {}, "Setting instructions.groups"),
    ],
)
def test_a_wrong_command_is_2(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], message: str
) -> None:
    assert message in said(toolbench(tmp_path, *arguments, **environment), 2)
    assert not list(tmp_path.iterdir()), "nothing was started"


def test_a_wrong_flag_is_2(tmp_path: Path) -> None:
    for arguments in (
        ("refresh", "--sed", "1"),
        ("refresh", "--seed", "x"),
        ("nonsense",),
        ("lake", "gc", "--keep", "0"),
    ):
        ended = toolbench(tmp_path, *arguments)
        assert ended.code == 2
        assert "Traceback" not in ended.err


def test_a_wrong_file_of_settings_is_2(tmp_path: Path) -> None:
    (tmp_path / "toolbench.toml").write_text("[search]\nwidth = = 3\n")
    assert "not valid TOML" in said(toolbench(tmp_path, "config"), 2)


@pytest.mark.parametrize("arguments", [("lake", "ls"), ("lake", "show", "apis"), ("lake", "gc")])
def test_an_empty_lake_is_1(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert "Nothing was published" in said(toolbench(tmp_path, *arguments), 1)
    assert not list(tmp_path.iterdir()), "looking writes nothing"


def test_a_report_of_an_empty_lake_is_no_traceback(tmp_path: Path) -> None:
    ended = toolbench(tmp_path, "report")
    assert "Traceback" not in ended.err
    assert ended.code in (0, 1)


IN_TURN = """
import contextlib, io, json, sys
from toolbench.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv, err = ["toolbench", *arguments], io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, err.getvalue()]))
"""
"""One process for several commands: Prefect's own server takes seconds to start."""


def test_what_a_run_meets_is_one_sentence(tmp_path: Path, hub_documents: Path, honest_teacher: Server) -> None:
    locked = Server(create_app(api_key="right"))
    source = ["refresh", "--catalogue", str(hub_documents), "--instructions", "3"]
    cases = [
        (2, "Nope", [*source, "--categories", "Nope", "--base-url", f"{honest_teacher.url}/v1"]),
        (1, "cannot be reached", [*source, "--categories", "Science", "--base-url", "http://127.0.0.1:9/v1"]),
        (1, "refuses the key", [*source, "--categories", "Science", "--base-url", f"{locked.url}/v1"]),
    ]
    environment = {
        "TOOLBENCH_TEACHER__MAX_RETRIES": "0", "TOOLBENCH_WORK__RETRIES": "0", "OPENAI_API_KEY": "wrong"
    }  # fmt: skip
    commands = json.dumps([arguments for _, _, arguments in cases])
    done = run([sys.executable, "-c", IN_TURN, commands], tmp_path, environment)
    locked.stop()
    ends = [json.loads(line) for line in done.out.splitlines()]
    assert len(ends) == len(cases), done.err
    for (code, words, _), (found, err) in zip(cases, ends, strict=True):
        assert words in said(Ended(found, "", err), code)


def test_a_lake_can_be_looked_into(factory: Factory, tmp_path: Path) -> None:
    lake = ("--lake", factory.lake.uri)
    listed = toolbench(tmp_path, "lake", "ls", *lake)
    assert listed.code == 0
    assert "conversations" in listed.out
    shown = toolbench(tmp_path, "lake", "show", "instructions", "--limit", "4", *lake)
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert len(rows) == 4
    assert {"text", "relevant", "split"} <= rows[0].keys()
    files = toolbench(tmp_path, "lake", "show", "instructions", "--files", *lake).out.split()
    assert files
    assert all(Path(f).is_file() for f in files)
    assert "has no snapshot 99" in said(toolbench(tmp_path, "lake", "ls", "--snapshot", "99", *lake), 1)
    would = toolbench(tmp_path, "lake", "gc", *lake).out
    assert "would remove (add --yes)" in would


def test_settings_say_where_they_come_from_and_keep_secrets(tmp_path: Path) -> None:
    (tmp_path / "toolbench.toml").write_text("[search]\nwidth = 3\n")
    out = toolbench(tmp_path, "config", OPENAI_API_KEY="sk-secret", TOOLBENCH_SEED="5").out
    assert "sk-secret" not in out
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:] if line.strip()}
    assert lines["search.width"] == ["3", "toolbench.toml"]
    assert lines["seed"] == ["5", "TOOLBENCH_SEED"]
    assert lines["teacher.api_key"][-1] == "OPENAI_API_KEY"


def test_a_service_ends_with_its_standard_input(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "toolbench", "teacher", "--port", "0", "--until-eof"]
    with subprocess.Popen(
        arguments, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        assert httpx.get(f"http://127.0.0.1:{port}/health").json()["status"] == "ok"
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_taken_port_is_said(tmp_path: Path, honest_teacher: Server) -> None:
    port = honest_teacher.url.rpartition(":")[2]
    assert "Cannot listen" in said(toolbench(tmp_path, "teacher", "--port", port), 2)


def test_ctrl_c_is_130_without_a_traceback(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, toolbench.cli.look as look\n"
        "look.load = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['toolbench', 'config']\n"
        "from toolbench.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (130, "toolbench: stopped.")


def test_ctrl_c_while_the_code_is_read_is_no_traceback_either(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = subprocess.run(
        [sys.executable, "-m", "toolbench", "config"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (130, "toolbench: stopped.")
