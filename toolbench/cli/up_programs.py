"""What `toolbench up` starts: an S3 server, Prefect's server, bootstrap, workers; and what each is told."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from toolbench.errors import ToolbenchError, UsageError
from toolbench.programs import Program, stop
from toolbench.settings import Settings
from toolbench.settings import environment as environment_of

HOST = "127.0.0.1"
POOLS = ("cpu", "gpu")
"""Those of `deployments.bootstrap`. Without a GPU what asks for one runs all the same, or says that it cannot."""
_START_SECONDS = 300
"""On a machine that is busy with other things; on one that is not it takes ten."""
_POLL_SECONDS = 0.2
_DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
_FOREIGN = ("PREFECT_PROFILE", "PREFECT_API_KEY", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", _DATABASE)
"""Of another server, of this command's own output, or for the server alone."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where `up` runs."""

    folder: Path
    port: int
    s3_port: int
    """0: no S3 server."""
    database: str
    """Empty: SQLite in the folder."""
    s3_key: str = "toolbench"
    """Both keys of the S3 server, which only this machine can reach."""

    @property
    def s3_url(self) -> str:
        """The S3 server's endpoint."""
        return f"http://{HOST}:{self.s3_port}"

    @property
    def api(self) -> str:
        """Prefect's API."""
        return f"http://{HOST}:{self.port}/api"

    def check(self) -> None:
        """Raises UsageError for a port that is taken, a database of another kind and an extra that is not there."""
        for port, flag in ((self.port, "--port"), (self.s3_port, "--s3-port")):
            if reason := port and _taken(port):
                raise UsageError(f"Port {port} cannot be had ({reason}): choose another one with {flag}.")
        kind = self.database.partition("://")[0].partition("+")[0]
        if kind not in ("", "postgres", "postgresql", "sqlite"):
            raise UsageError(
                f"A database {kind}://… is none that Prefect knows: give postgresql://user:password@host/name."
            )
        if self.s3_port and not find_spec("ministack"):
            raise UsageError("The S3 server needs the extra s3: install it with pip install 'toolbench[s3]'.")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One `up` a folder: two would work on the same database. Raises UsageError if there is one, or no folder."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / ".gitignore").write_text("*\n", encoding="utf-8")
            lock = (self.folder / "lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"The folder {self.folder} cannot be used ({error.strerror}): choose another --folder."
            ) from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.seek(0)
                raise UsageError(
                    f"toolbench up runs in {self.folder} already ({lock.read()}): stop it, or choose another --folder."
                ) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()}, http://{HOST}:{self.port}")
            lock.flush()
            yield

    def usual(self, port: int) -> int:
        """The port if it is free, otherwise 0, which is any."""
        return 0 if _taken(port) else port


def _taken(port: int) -> str:
    """Why nothing can listen there; empty if something can."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    return ""


def environment(settings: Settings, place: Place) -> dict[str, str]:
    """What deployments, workers and flow runs are told: the settings, Prefect's server, and its folder."""
    home = {
        "PREFECT_HOME": str(place.folder / "prefect"),
        "PREFECT_API_URL": place.api,
        # A UI believes to be on port 4200 otherwise, and asks there.
        "PREFECT_SERVER_UI_API_URL": place.api,
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }
    usual = {
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "3",
        # What was planned while nobody was there to do it comes all at once later: no more than a few minutes' looks
        # into the inbox are planned ahead.
        "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT2M",
    }
    if secret := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        usual["PREFECT_API_AUTH_STRING"] = secret
    kept = {name: value for name, value in environment_of(settings).items() if name not in _FOREIGN}
    return {**usual, **kept, **home}


def s3_server(stack: ExitStack, place: Place) -> Program:
    """An S3 server for the length of `stack`, with its objects in the folder, named in our own environment so that all
    we start finds it; see `ready`."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        os.environ.pop(name, None)
    key = place.s3_key
    os.environ |= {"AWS_ENDPOINT_URL": place.s3_url, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": key}
    os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
    root = place.folder / "s3"
    root.mkdir(exist_ok=True)
    told = {"SERVICES": "s3", "GATEWAY_PORT": str(place.s3_port), "BIND_HOST": HOST, "LOG_LEVEL": "WARNING"}
    told |= {"S3_PERSIST": "1", "S3_DATA_DIR": str(root), "TMPDIR": str(root)}
    told |= {"IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}  # it would listen for other things on ports of their own
    program = Program("s3", ["ministack"], os.environ | told, place.folder)
    stack.callback(stop, [program])
    return program


def server(stack: ExitStack, place: Place, variables: Mapping[str, str]) -> Program:
    """Prefect's server for the length of `stack`; see `ready`."""
    scheme, _, rest = place.database.partition("://")
    url = f"postgresql+asyncpg://{rest}" if scheme in ("postgres", "postgresql") else place.database
    told = {**variables, _DATABASE: url} if url else variables
    command = ["prefect", "server", "start", "--host", HOST, "--port", str(place.port)]
    program = Program("server", command, told, place.folder, secret=unquote(urlsplit(url).password or ""))
    stack.callback(stop, [program])
    return program


def deploy(place: Place, variables: Mapping[str, str]) -> None:
    """Make work pools, limits, automations, the lake's bucket and all deployments. Raises ToolbenchError."""
    program = Program("bootstrap", ["deployments.bootstrap"], variables, place.folder)
    try:
        if program.process.wait():
            raise program.failed("The deployments could not be made")
    finally:
        stop([program])


def worker(place: Place, pool: str, variables: Mapping[str, str]) -> Program:
    """A worker of processes for one pool."""
    command = ["prefect", "worker", "start", "--pool", pool, "--type", "process", "--name", f"up-{pool}"]
    return Program(f"worker-{pool}", [*command, "--install-policy", "never"], variables, place.folder)


def ready(program: Program, url: str, name: str) -> None:
    """Return when the program answers there. Raises ToolbenchError if it does not."""
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client(trust_env=False, timeout=10) as client:
        while True:
            if program.ended:
                raise program.failed(f"{name} did not come up")
            try:
                client.get(url)
                return
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise ToolbenchError(f"{name} did not come up in {_START_SECONDS} s; see {program.log}.") from None
            time.sleep(_POLL_SECONDS)
