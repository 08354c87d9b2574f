"""The factory on many machines, as processes on loopback ports: what docker-compose.yml starts, as it starts it."""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from toolbench.demo import HOST, documents

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
AUTH = "somebody:pass-4711"
PASSWORD = "pass-0815"
BUCKET = "toolbench"
PATIENCE = 240.0
"""Seconds for what should take a few, on a machine that others use too."""
BEGIN_SECONDS = 90
"""What a run may take from being taken to its first word: long for a busy machine, and short for a test."""
PREFECT = [sys.executable, "-m", "prefect"]


def until(what: Callable[[], Any], why: str, seconds: float = PATIENCE, every: float = 0.25) -> Any:
    """The first true value of `what()`; a test fails with `why` if there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            pytest.fail(why() if callable(why) else why)
        time.sleep(every)
    return found


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """A program that can be stopped, killed with all its children, and started again."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, *,
        user: str | None = None, stop: int = signal.SIGTERM,
    ) -> None:  # fmt: skip
        self.name, self._command, self._environment, self._folder = name, list(command), dict(environment), folder
        self._user, self._stop, self.log = user, stop, folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Program":
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, user=self._user, group=_group(self._user),
            )  # fmt: skip
        return self

    @property
    def family(self) -> list[psutil.Process]:
        """The process and all that came of it."""
        try:
            own = psutil.Process(self._process.pid) if self._process else None
            return [own, *own.children(recursive=True)] if own else []
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> None:
        """As a service manager stops it; nothing of it is left."""
        family = self.family
        if self._process and self._process.poll() is None:
            self._process.send_signal(self._stop)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        _kill(family)
        if self._process:
            self._process.wait(30)

    def kill(self) -> None:
        """`kill -9`, of its children too."""
        _kill(self.family)
        if self._process:
            self._process.wait(30)

    def words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


def _kill(family: Sequence[psutil.Process]) -> None:
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=30)


def _group(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None


def missing() -> str:
    """What has to be installed before the stack can be started; empty if nothing."""
    if not _postgres("initdb"):
        return "needs PostgreSQL: apt-get install postgresql postgresql-contrib"
    if not shutil.which("redis-server"):
        return "needs Redis: apt-get install redis-server"
    if not Path(sys.executable).with_name("ministack").exists():
        return "needs ministack: pip install ministack"
    try:
        import asyncpg  # noqa: F401
        import prefect_redis  # noqa: F401
    except ImportError as error:
        return f"needs {error.name}: pip install 'toolbench[server]'"
    return ""


def _postgres(program: str) -> str:
    found = [str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))]
    return shutil.which(program) or (found[-1] if found else "")


class Stack:
    """All of it: `with Stack(folder, settings) as stack:`; workers are started by `worker`."""

    def __init__(self, folder: Path, settings: Mapping[str, str], *, latency_ms: int = 300) -> None:
        """`settings`: more variables of the workers' environment; the teacher waits so long before each answer."""
        self.folder = folder
        names = ("postgres", "redis", "s3", "server", "teacher", "hub")
        self.ports = {name: free_port() for name in names}
        self.lake = f"s3://{BUCKET}/factory"
        self.api = f"http://127.0.0.1:{self.ports['server']}/api"
        self.client = httpx.Client(base_url=self.api, auth=tuple(AUTH.split(":")), timeout=60)
        self._place = Path(tempfile.mkdtemp(prefix="toolbench-stack-"))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOOLBENCH_", "OPENAI_", "PREFECT_", "AWS_"))}
        self._plain = kept | {
            "PREFECT_HOME": str(folder / "home"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
            "OMP_NUM_THREADS": "1",
        }
        self.environment = self._plain | self._compose("x-client") | self._factory() | dict(settings)
        server = self._plain | self._compose("x-server")
        user = "postgres" if os.geteuid() == 0 else None
        minis = {"S3_PERSIST": "1", "S3_DATA_DIR": str(self._place / "s3"), "SERVICES": "s3", "TMPDIR": str(folder)}
        ours = [sys.executable, "-m", "toolbench"]
        self.postgres = Program(
            "postgres",
            [_postgres("postgres"), "-D", str(self._place / "data"), "-p", str(self.ports["postgres"]), "-c",
             "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"],
            self._plain, folder, user=user, stop=signal.SIGINT,
        )  # fmt: skip
        self.redis = Program(
            "redis",
            ["redis-server", "--port", str(self.ports["redis"]), "--requirepass", PASSWORD, "--appendonly", "yes",
             "--dir", str(self._place)],
            self._plain, folder,
        )  # fmt: skip
        self.s3 = Program(
            "s3", [str(Path(sys.executable).with_name("ministack"))],
            self._plain | minis | {"GATEWAY_PORT": str(self.ports["s3"])}, folder,
        )  # fmt: skip
        self.server = Program(
            "server",
            [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.ports["server"]), "--no-services"],
            server, folder,
        )  # fmt: skip
        self.services = Program(
            "services", [*PREFECT, "server", "services", "start"], server | {"PREFECT_API_URL": self.api}, folder
        )
        self._notes = folder / "asked"
        noting = [str(Path(__file__).with_name("counting_teacher.py")), str(self.ports["teacher"])]
        self.teacher = Program(
            "teacher", [sys.executable, *noting, str(self._notes), str(latency_ms)], self._plain, folder
        )
        self.hub = Program("hub", [*ours, "hub", "--port", str(self.ports["hub"])], self._plain, folder)
        self.workers: dict[str, Program] = {}
        self._user, self._server_environment = user, server
        self._open = ExitStack()

    def __enter__(self) -> "Stack":
        self._open.callback(shutil.rmtree, self._place, ignore_errors=True)
        self._open.callback(self.client.close)
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in list(self.workers.values()):
            worker.kill()
        self._open.close()

    def _start(self) -> None:
        for name, program in (("s3", self.s3), ("redis", self.redis), ("teacher", self.teacher), ("hub", self.hub)):
            self._run(program, self.ports[name])
        self._cluster()
        self._run(self.postgres, self.ports["postgres"])
        database = ["psql", "-q", "-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-U", "prefect"]
        until(lambda: not _call([*database, "-c", "create database prefect", "postgres"]), "PostgreSQL did not start")
        assert not _call([*database, "-c", "create extension pg_trgm", "prefect"])
        said = subprocess.run(
            [*PREFECT, "server", "database", "upgrade", "-y"], env=self._server_environment, cwd=self.folder,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not said.returncode, said.stderr[-2000:]
        self._run(self.server)
        self._run(self.services)
        self.wait_for_server()

    def _run(self, program: Program, port: int | None = None) -> None:
        self._open.callback(program.stop)
        program.start()
        if port is not None:
            until(lambda: listens(port), lambda: f"{program.name} did not start: {program.words()}")

    def _cluster(self) -> None:
        place = self._place / "data"
        place.mkdir()
        if self._user:
            known = pwd.getpwnam(self._user)
            self._place.chmod(0o755)
            os.chown(place, known.pw_uid, known.pw_gid)
        done = subprocess.run(
            [_postgres("initdb"), "-D", str(place), "-U", "prefect", "-A", "trust", "--no-sync", "-E", "UTF8"],
            capture_output=True, text=True, user=self._user, cwd="/", check=False,
        )  # fmt: skip
        assert not done.returncode, done.stderr

    def _compose(self, part: str) -> dict[str, str]:
        """An environment of docker-compose.yml, with the addresses and passwords of here."""
        values = {"POSTGRES_PASSWORD": PASSWORD, "REDIS_PASSWORD": PASSWORD, "PREFECT_AUTH": AUTH}
        values |= {"S3_ACCESS_KEY": "testing", "S3_SECRET_KEY": "testing", "LAKE_BUCKET": BUCKET}

        def fill(match: re.Match[str]) -> str:
            return values.get(match[1]) or (match[3] or "" if match[2] == ":-" else "")

        found: dict[str, str] = {}
        for name, text in yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))[part].items():
            value = re.sub(r"\$\{(\w+)(:[-?])?([^}]*)\}", fill, str(text))
            for host, port in (("postgres", 5432), ("redis", 6379), ("s3", 8333), ("server", 4200)):
                value = value.replace(f"{host}:{port}", f"127.0.0.1:{self.ports[host]}")
            found[name] = value
        return found

    def _factory(self) -> dict[str, str]:
        """What a user sets: the teacher, and the hub as a host of one's own."""
        hub = {"connect": f"http://127.0.0.1:{self.ports['hub']}", "methods": ["POST"], "rate": 0, "concurrency": 64}
        return {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{self.ports['teacher']}/v1",
            "OPENAI_API_KEY": "",
            "TOOLBENCH_APIS__HOSTS": json.dumps({HOST: hub}),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }

    # What a person would do

    def bootstrap(self, slots: int | None = None) -> str:
        """The command, with so many slots of the teacher's limit if a number is given."""
        command = [sys.executable, "-m", "deployments.bootstrap", *(["--slots", str(slots)] if slots else [])]
        command += ["--begin-seconds", str(BEGIN_SECONDS)]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert not done.returncode, done.stderr
        return done.stdout

    def switch_off(self, *names: str) -> None:
        """Automations that are not to act, as by the switch in the UI."""
        for automation in self.post("/automations/filter", {"limit": 200}):
            if automation["name"] in names:
                self.client.patch(f"/automations/{automation['id']}", json={"enabled": False}).raise_for_status()

    def worker(self, name: str, *flags: str) -> Program:
        """A worker of the pool `cpu`, as the service worker-cpu starts it."""
        command = [*PREFECT, "worker", "start", "--pool", "cpu", "--type", "process", "--name", name]
        flags = flags or ("--limit", "2")
        self.workers[name] = Program(name, [*command, *flags], self.environment, self.folder).start()
        return self.workers[name]

    @contextmanager
    def command(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """`toolbench …` as a process of its own; it is ended with the block. What it says is in `said`."""
        with (self.folder / f"{arguments[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "toolbench", *arguments], cwd=self.folder, env=self.environment, stdout=log,
                stderr=log,
            )  # fmt: skip
            try:
                yield process
            finally:
                process.kill()
                process.wait(30)

    def said(self, command: str) -> str:
        """What a command said last."""
        return (self.folder / f"{command}.log").read_text(errors="replace")[-3000:]

    def documents(self, *categories: str) -> str:
        """A folder with the hub's OpenAPI documents of these categories."""
        folder = self.folder / ("-".join(categories) or "all")
        folder.mkdir(exist_ok=True)
        for number, document in enumerate(documents()):
            if not categories or document["info"].get("x-category") in categories:
                (folder / f"{number:02d}.json").write_text(json.dumps(document), encoding="utf-8")
        return str(folder)

    # What is seen

    def wait_for_server(self) -> None:
        def there() -> bool:
            try:
                return self.client.get("/health").status_code == 200
            except httpx.HTTPError:
                return False

        until(there, lambda: f"Prefect's server did not start: {self.server.words()}")

    def post(self, path: str, body: Any) -> Any:
        """Asked again while the server is away."""

        def ask() -> httpx.Response | None:
            try:
                answer = self.client.post(path, json=body)
            except httpx.HTTPError:
                return None
            return answer if answer.status_code < 500 else None

        answer = until(ask, f"{path} was not answered")
        answer.raise_for_status()
        return answer.json()

    def deployment(self, name: str) -> dict[str, Any]:
        found = [d for d in self.post("/deployments/filter", {"limit": 200}) if d["name"] == name]
        assert len(found) == 1, f"{name}: {len(found)}"
        deployment: dict[str, Any] = found[0]
        return deployment

    def start(self, deployment: str, **parameters: Any) -> str:
        """A run of a deployment, as the button in the UI makes it; its id."""
        name = self.deployment(deployment)["id"]
        return str(self.post(f"/deployments/{name}/create_flow_run", {"parameters": parameters})["id"])

    def taken(self, deployment: str, **parameters: Any) -> str:
        """A run as a worker leaves it that was killed with the process it had just started: taken, never begun."""
        name, body = self.deployment(deployment)["id"], {"parameters": parameters, "state": {"type": "PENDING"}}
        return str(self.post(f"/deployments/{name}/create_flow_run", body)["id"])

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """A deployment's runs, the oldest first."""
        body = {"deployments": {"id": {"any_": [self.deployment(deployment)["id"]]}}, "sort": "START_TIME_ASC"}
        found: list[dict[str, Any]] = self.post("/flow_runs/filter", body)
        return found

    def run(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.post("/flow_runs/filter", {"flow_runs": {"id": {"any_": [name]}}})[0]
        return found

    def states(self, name: str) -> list[str]:
        """The names of the states a run went through."""
        found = until(lambda: self._states(name), "no states")
        return [state["name"] for state in found]

    def _states(self, name: str) -> Any:
        answer = self.client.get("/flow_run_states/", params={"flow_run_id": name})
        return sorted(answer.json(), key=lambda state: str(state["timestamp"])) if answer.status_code == 200 else None

    def ends(self, name: str, seconds: float = PATIENCE) -> str:
        """The name of the state that a run ends in; one that crashed may be started again."""

        def over() -> str:
            state = self.run(name)["state"]
            final = state["type"] in ("COMPLETED", "FAILED", "CANCELLED")
            return str(state["name"]) if final else ""

        return str(until(over, lambda: f"it did not end: {self.states(name)}", seconds, 0.5))

    def asked(self) -> Counter[str]:
        """How often each request was asked so far, by its digest."""
        return Counter(self._notes.read_text(encoding="utf-8").split()) if self._notes.exists() else Counter()

    def logs(self, name: str) -> str:
        """What a run and its parts logged."""
        found = self.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [name]}}, "limit": 200})
        return "\n".join(line["message"] for line in found)

    # What goes wrong

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """While the block runs a program is stopped; afterwards it is started again, as it was."""
        program: Program = getattr(self, name)
        program.stop()
        try:
            yield
        finally:
            program.start()
            if name == "server":
                self.wait_for_server()
            else:
                port = self.ports[name]
                until(lambda: listens(port), lambda: f"{name} did not start again: {program.words()}")


def _call(command: Sequence[str]) -> int:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
