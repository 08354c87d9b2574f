"""Programs that we start, and that end with us whatever becomes of us.

Each inherits a variable that marks it, and so does what it starts in turn: by that all are found again, in whatever
session and under whatever parent they are by then. A guard, a small process of its own, ends them when we were killed.
"""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from toolbench.errors import ToolbenchError
from toolbench.settings import MARK

GRACE_SECONDS = 20.0
"""What ends by itself has so long for it: flow runs write their journals within 10 s."""
_LAST_SECONDS = 10.0
"""What a process that was killed may need for that."""
_POLL_SECONDS = 0.1
_SHOWN = 400
_ERROR = re.compile(r"[\w.]*(?:Error|Exception|Refused)\b.*: ")
"""The last line of a traceback."""


class Program:
    """One that runs, with what it says in a file."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, secret: str = ""
    ) -> None:
        """Start a Python module in a folder. `secret` is left out where it is quoted. Raises ToolbenchError if its file
        cannot be written."""
        self.name = name
        self._secret = secret
        self.log = folder / "logs" / f"{name}.log"
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("wb") as output:
                self.process = subprocess.Popen(
                    # -P: what lies in the working folder is none of our packages.
                    [sys.executable, "-P", "-m", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env=dict(environment),
                    # Ctrl-C is for us: we end them in the right order.
                    start_new_session=True,
                )
        except OSError as error:
            raise ToolbenchError(f"{self.log} cannot be written: {error.strerror}.") from None

    @property
    def ended(self) -> bool:
        """True if it runs no more."""
        return self.process.poll() is not None

    def last_words(self) -> str:
        """What killed it; otherwise the last line that names an error, or the last one."""
        if (code := self.process.returncode) is not None and code < 0:
            return f"it was killed by {signal.Signals(-code).name}"
        text = self.log.read_text(encoding="utf-8", errors="replace")
        text = text.replace(self._secret, "***") if self._secret else text
        lines = [line.strip()[-_SHOWN:] for line in text.splitlines() if line.strip()]
        last = next((line for line in reversed(lines) if _ERROR.match(line)), lines[-1] if lines else "it said nothing")
        return last.removeprefix(f"{self.name}: ")

    def failed(self, what: str) -> ToolbenchError:
        """An error that says `what`, why, and where the rest stands."""
        return ToolbenchError(f"{what}: {self.last_words().rstrip('.')}; see {self.log}.")


def stop(programs: Sequence[Program], seconds: float = GRACE_SECONDS) -> None:
    """Have them end, all at once; those that do not are killed."""
    for program in programs:
        with suppress(ProcessLookupError):
            program.process.terminate()
    deadline = time.monotonic() + seconds
    for program in programs:
        try:
            program.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            program.process.kill()
            program.process.wait()


@contextmanager
def marked(folder: Path) -> Iterator[str]:
    """For the length of the block everything that is started is marked, and guarded; nothing of it is left after it."""
    mark = uuid.uuid4().hex
    guard = subprocess.Popen(
        [sys.executable, "-P", "-m", "toolbench.programs", mark],
        stdin=subprocess.PIPE,
        cwd=folder,
        start_new_session=True,
    )
    os.environ[MARK] = mark
    try:
        yield mark
    finally:
        del os.environ[MARK]
        end_all(mark)
        if guard.stdin:
            guard.stdin.close()
        guard.wait()


def end_all(mark: str, seconds: float = 5.0) -> None:
    """End everything that bears the mark: politely, then by force, until nothing is left."""
    deadline = time.monotonic() + seconds
    told: set[int] = set()
    while (found := _bearing(mark)) and time.monotonic() < deadline + _LAST_SECONDS:
        for process in found:
            late = time.monotonic() > deadline
            if late or process.pid not in told:
                told.add(process.pid)
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL if late else signal.SIGTERM)
        psutil.wait_procs(found, timeout=_POLL_SECONDS)


def _bearing(mark: str) -> list[psutil.Process]:
    """Processes that inherited the mark and still run. Its bearer's own environment was made before there was one."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _guard() -> None:
    sys.stdin.buffer.read()
    end_all(sys.argv[1])


if __name__ == "__main__":
    _guard()
