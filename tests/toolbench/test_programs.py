"""Programs that were started end with whoever started them, and so does all that they started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from toolbench.errors import ToolbenchError
from toolbench.programs import Program, end_all, marked, stop
from toolbench.settings import MARK

FAMILY = """
import signal, subprocess, sys, time
{deaf}
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"
grandchild = subprocess.Popen([sys.executable, "-c", child], start_new_session=True, stdout=subprocess.PIPE)
grandchild.stdout.readline()
print("ready", flush=True)
time.sleep(600)
"""
"""A program with a grandchild of ours in a session of its own that does not listen to SIGTERM."""


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def bearing(mark: str) -> int:
    count = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            count += process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    return count


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that starts a family."""
    (tmp_path / "family.py").write_text(FAMILY.format(deaf=""))
    (tmp_path / "deaf_family.py").write_text(FAMILY.format(deaf="signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return "family"


def start(name: str, folder: Path, **more: str) -> Program:
    program = Program(name, [name], os.environ, folder, **more)
    until(lambda: "ready" in program.log.read_text())
    return program


def test_nothing_is_left_after_the_block_wherever_it_is_by_then(module: str, tmp_path: Path) -> None:
    with marked(tmp_path) as mark:
        program = start(module, tmp_path)
        stop([program], 5)
        assert program.ended
        assert bearing(mark) == 1, "its child has lost its parent and goes on"
    assert bearing(mark) == 0
    assert MARK not in os.environ


def test_what_does_not_listen_is_killed(module: str, tmp_path: Path) -> None:
    with marked(tmp_path):
        program = start(f"deaf_{module}", tmp_path)
        stop([program], 0.2)
        assert program.process.returncode == -signal.SIGKILL


def test_the_guard_ends_what_is_left_when_we_are_killed(module: str, tmp_path: Path) -> None:
    code = (
        "import os, time, pathlib; from toolbench.programs import Program, marked\n"
        "folder = pathlib.Path.cwd()\n"
        "with marked(folder) as mark:\n"
        f"    Program('{module}', ['{module}'], os.environ, folder)\n"
        "    print(mark, flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    mark = process.stdout.readline().strip()
    until(lambda: bearing(mark) == 2)
    process.kill()
    process.wait()
    until(lambda: bearing(mark) == 0)


def test_others_are_left_alone(module: str, tmp_path: Path) -> None:
    with marked(tmp_path) as mark:
        program = start(module, tmp_path)
        end_all("another", 0.5)
        assert (program.ended, bearing(mark)) == (False, 2)


def test_the_last_words_are_quoted_without_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "complains.py").write_text("print('a'); print('complains: no way to hunter2 at all.'); print()")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    program = Program("complains", ["complains"], os.environ, tmp_path, secret="hunter2")
    program.process.wait()
    said = str(program.failed("It failed"))
    assert said == f"It failed: no way to *** at all; see {tmp_path / 'logs' / 'complains.log'}."


def test_an_error_is_quoted_rather_than_what_was_said_after_it(tmp_path: Path) -> None:
    program = Program("x", ["this"], os.environ, tmp_path)
    program.process.wait()
    program.log.write_text("a\n  raise OSError: x\nConnectionRefusedError: [Errno 111] refused\n\nServer stopped!\n")
    assert program.last_words() == "ConnectionRefusedError: [Errno 111] refused"


def test_what_was_killed_is_said_to_be(module: str, tmp_path: Path) -> None:
    with marked(tmp_path):
        program = start(module, tmp_path)
        program.process.kill()
        program.process.wait()
        assert program.last_words() == "it was killed by SIGKILL"


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    with pytest.raises(ToolbenchError, match=r"x\.log cannot be written: "):
        Program("x", ["x"], os.environ, tmp_path)
