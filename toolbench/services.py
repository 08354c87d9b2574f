"""What a run needs and settings name no address for: the demo hub and the offline teacher, on loopback ports."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from toolbench.demo import HOST
from toolbench.errors import ToolbenchError
from toolbench.settings import OFFLINE_MODEL, OPENAI, HostSettings, Settings

NO_PORTS: Mapping[str, int] = {}


@contextmanager
def services(settings: Settings, ports: Mapping[str, int] = NO_PORTS) -> Iterator[Settings]:
    """Start what is missing for the length of the block; gives settings that name it. `ports`: of the `hub` and the
    `teacher`, if they are to be known beforehand.

    The hub is known by a host name of its own, whatever port it listens on, so that no shard depends on the port.
    Raises ToolbenchError if the extra `demo` is not installed.
    """
    with ExitStack() as stack:
        # Who names the hub's address runs one already.
        if not settings.catalogue.source and HOST not in settings.apis.hosts:
            port = stack.enter_context(_process("hub", ports.get("hub", 0)))
            # Our own hub may be asked in any way and as often as one likes.
            hub = HostSettings(connect=f"http://127.0.0.1:{port}", methods=("POST",), concurrency=64, rate=0)
            settings = settings.with_(apis={"hosts": {**settings.apis.hosts, HOST: hub}})
        if not settings.catalogue.source:
            settings = settings.with_(catalogue={"source": f"http://{HOST}/index.json"})
        yield stack.enter_context(models(settings, ports))


@contextmanager
def models(settings: Settings, ports: Mapping[str, int] = NO_PORTS) -> Iterator[Settings]:
    """Start the offline teacher, and one as judge, where settings name none; gives settings that name what answers.

    Raises ToolbenchError if the extra `demo` is not installed.
    """
    with ExitStack() as stack:
        judge, teacher = settings.judge, settings.teacher
        if judge.model and not judge.base_url and teacher.offline != (judge.model == OFFLINE_MODEL):
            # Said now: once the teacher has an address, an empty one of the judge would mean the teacher's.
            url = OPENAI if teacher.offline else f"http://127.0.0.1:{stack.enter_context(_process('teacher'))}/v1"
            settings = settings.with_(judge={"base_url": url})
        if teacher.offline:
            port = stack.enter_context(_process("teacher", ports.get("teacher", 0)))
            settings = settings.with_(teacher={"base_url": f"http://127.0.0.1:{port}/v1"})
        yield settings


def served_student(folder: str, name: str, base: str = "") -> AbstractContextManager[str]:
    """The address of `toolbench student serve` for the length of the block; `base`: of an adapter, if it was moved.

    Raises ToolbenchError with the reason if it does not start.
    """
    arguments = ["student", "serve", folder, "--name", name, "--port", "0", "--until-eof"]
    # Its key is for clients elsewhere, too.
    environment = {key: value for key, value in os.environ.items() if key != "TOOLBENCH_STUDENT_KEY"}
    return _address(
        child("toolbench", [*arguments, *(("--base", base) if base else ())], f"The student {name}", environment)
    )


@contextmanager
def _address(started: AbstractContextManager[int]) -> Iterator[str]:
    with started as port:
        yield f"http://127.0.0.1:{port}/v1"


def _process(command: str, port: int = 0) -> AbstractContextManager[int]:
    # Its key is for clients elsewhere: a teacher of our own is asked without one.
    environment = {name: value for name, value in os.environ.items() if name != "TOOLBENCH_OFFLINE_KEY"}
    return child("toolbench", [command, "--port", str(port), "--until-eof"], f"The {command}", environment)


@contextmanager
def child(module: str, arguments: Sequence[str], name: str, environment: Mapping[str, str]) -> Iterator[int]:
    """A Python module as a process for the length of the block; gives the port it prints as `{"port": …}`.

    It has to end when its standard input does: so it ends when we are killed, too. It is in a session of its own,
    because Ctrl-C is for us: shards that still end well need what it serves. Raises ToolbenchError with its last words
    if it does not start.
    """
    # A file, because a pipe that nobody empties would stop the process once it is full.
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=environment,
            start_new_session=True,
        )
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                process.wait()
                complaints.seek(0)
                reason = complaints.read().strip().rpartition("\n")[2].removeprefix("toolbench: ")
                raise ToolbenchError(f"{name} did not start: {reason or 'no reason was given'}")
            yield int(json.loads(line)["port"])
        finally:
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
