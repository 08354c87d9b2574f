"""Keys that a run works with are found nowhere afterwards: lake, Prefect's database and results, logs, report."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from workshop import Server

from toolbench.digests import draw
from toolbench.teacher.offline import create_app

KEYS = {
    "teacher": "sk-quetzal7731teacher",
    "host": "hk/quetzal+7731=host",
    "server": "vk-quetzal7731server",
    "reader": "pw-quetzal7731reader",
    "tool server": "pw-quetzal7731virtual",
}
"""One that other spellings (JSON, URL, base64) change is among them."""
WITNESS = "Zinnober"
"""The category's name: what is not secret, and must be found by the same search wherever a key is looked for."""
HOST = "facts.example.org"


@dataclass
class World:
    """Everybody whom a run asks, each repeating what it was sent. It remembers which keys it has seen."""

    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._teacher = create_app()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return None
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path, body, more = scope["path"], b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        told = f"{json.dumps(headers)} {scope['query_string'].decode()} {body.decode()}"
        basic = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ") + "==", validate=False)
        self.seen |= {name for name, key in KEYS.items() if key in told or key.encode() in basic}
        echo: dict[str, Any] = {"you_sent": headers, "query": scope["query_string"].decode(), "body": body.decode()}
        failure = {"error": {"message": f"no reply for {headers.get('authorization')}", **echo}}
        if path.startswith("/broken") and not path.endswith("/models"):
            return await _answer(send, 500, failure)
        if path.startswith("/broken"):
            return await _answer(send, 200, {"object": "list", "data": []})
        if path == "/v1/chat/completions" and _refused(json.loads(body)):
            return await _answer(send, 400, failure)
        if path.startswith("/v1"):
            whole = [{"type": "http.request", "body": body}]

            async def again() -> Any:
                return whole.pop() if whole else await receive()

            return await self._teacher(scope, again, send)
        if path == "/index.json":
            return await _answer(send, 200, {"openapi": ["/live.json", "/virtual.json"]})
        if path in ("/live.json", "/virtual.json"):
            return await _answer(send, 200, _document("Facts" if "live" in path else "Figures"))
        if path == "/virtual":
            return await _answer(send, 200, {"error": "", "response": echo})
        return await _answer(send, 200 if "one" in path else 503, echo)


def _refused(request: dict[str, Any]) -> bool:
    """What the teacher never answers, whenever it is asked: instructions for one tool alone, so that those for both are
    left; and half of the instructions that paths are searched for."""
    asked = next(m["content"] for m in request["messages"] if m["role"] == "user")
    if "tools" in request:
        return draw(asked, "refused") < 0.5
    return "# The APIs" in asked and ("_for_facts" in asked) != ("_for_figures" in asked)


async def _answer(send: Any, status: int, value: Any) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


def _document(tool: str) -> dict[str, Any]:
    """Two APIs with a key in a header; those of `Facts` are called live, those of `Figures` through the tool server."""
    city = {"name": "city", "in": "query", "required": True, "description": "A city", "schema": {"type": "string",
            "example": "Oslo"}}  # fmt: skip
    paths = {
        f"/{name}": {"get": {"operationId": f"{name}_{tool.lower()}", "summary": f"{tool} {name} of a city",
                             "parameters": [city], "responses": {"200": {"description": "The answer"}}}}
        for name in ("one", "two")
    }  # fmt: skip
    host = HOST if tool == "Facts" else "figures.example.org"
    scheme = {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": tool, "version": "1", "description": f"{tool} of cities", "x-category": WITNESS},
        "servers": [{"url": f"https://{host}"}],
        "components": {"securitySchemes": scheme},
        "security": [{"key": []}],
        "paths": paths,
    }


@dataclass
class Left:
    """What the runs left behind: a folder with everything, and what they printed."""

    folder: Path
    printed: str
    codes: list[int]
    seen: set[str]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory, tiny_base: str) -> Iterator[Left]:
    folder, world = tmp_path_factory.mktemp("secrets"), World()
    server = Server(world)
    place = server.url.removeprefix("http://")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOOLBENCH_", "OPENAI_", "PREFECT_"))}
    environment = kept | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "DEBUG",
        "OPENAI_API_KEY": KEYS["teacher"],
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "TOOLBENCH_LAKE": str(folder / "lake"),
        "TOOLBENCH_CATALOGUE__TOOL_HOLDOUT": "0",
        "TOOLBENCH_CATALOGUE__CATEGORY_HOLDOUT": "0",
        "TOOLBENCH_INSTRUCTIONS__HOLDOUT": "0.3",
        "TOOLBENCH_APIS__HOSTS": json.dumps({HOST: server.url}),
        "TOOLBENCH_APIS__SECRETS": json.dumps({HOST: {"X-Api-Key": KEYS["host"]}}),
        "TOOLBENCH_APIS__SERVER_URL": f"http://user:{KEYS['tool server']}@{place}/virtual",
        "TOOLBENCH_APIS__SERVER_KEY": KEYS["server"],
        "TOOLBENCH_APIS__CHAIN": '["live", "server", "simulated"]',
        "TOOLBENCH_JUDGE__VOTES": "1",
        "TOOLBENCH_TEACHER__MAX_RETRIES": "0",
        "TOOLBENCH_WORK__RETRIES": "0",
        "TOOLBENCH_RETRIEVER__BASE": tiny_base,
        "TOOLBENCH_RETRIEVER__MAX_TOKENS": "32",
    }
    command = [sys.executable, "-m", "toolbench", "refresh", "--instructions", "12", "--groups", "I1,I2"]
    command += ["--catalogue", f"http://reader:{KEYS['reader']}@{place}/index.json"]
    printed, codes = "", []
    for change in ({}, {"OPENAI_BASE_URL": f"{server.url}/broken/v1", "TOOLBENCH_SEED": "5"}):
        run = subprocess.run(
            command, env={**environment, **change}, cwd=folder, capture_output=True, text=True, timeout=400
        )
        printed += run.stdout + run.stderr
        codes.append(run.returncode)
    yield Left(folder, printed, codes, world.seen)
    server.stop()


def _spellings(needle: str) -> set[bytes]:
    """As it is, in a URL, in JSON, and in base64, wherever in a longer text it may stand there."""
    found = {needle.encode(), quote(needle, safe="").encode(), json.dumps(needle)[1:-1].encode()}
    for shift in range(3):
        packed = base64.b64encode(b"-" * shift + needle.encode()).decode()
        # The first and last letters depend on what stands around it.
        found.add(packed[(shift * 4 + 2) // 3 + 1 : len(packed.rstrip("=")) - 2].encode())
    return found


def _places(left: Left, needle: str) -> set[str]:
    """Where a needle is found, in any spelling; Parquet files and databases are read, and searched as they lie."""
    spellings = _spellings(needle)
    found = {"printed"} if any(s.decode() in left.printed for s in spellings) else set()
    for path in sorted(p for p in left.folder.rglob("*") if p.is_file()):
        data = path.read_bytes() + path.name.encode()
        if path.suffix == ".parquet":
            data += json.dumps(pq.ParquetFile(path).read().to_pylist(), default=str).encode()
        if data.startswith(b"SQLite format 3"):
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                data += "\n".join(database.iterdump()).encode("utf-8", "replace")
        if any(spelling in data for spelling in spellings):
            found.add("/".join(path.relative_to(left.folder).parts[:2]))
    return found


def _rejects(left: Left) -> list[dict[str, Any]]:
    files = (left.folder / "lake/tables/rejects").glob("*.parquet")
    return [row for path in files for row in pq.ParquetFile(path).read().to_pylist()]


def test_the_runs_did_what_they_should_and_every_key_was_used(left: Left) -> None:
    assert left.codes == [0, 1], left.printed[-3000:]
    assert "no reply for Bearer (key)" in left.printed.splitlines()[-1]
    assert left.seen == set(KEYS)
    refused = {(row["stage"], row["reason"]) for row in _rejects(left)}
    assert refused == {("instructions", "no_reply"), ("dataset", "failed")}, "while writing, and while searching"


def test_the_search_finds_what_is_no_secret_everywhere(left: Left) -> None:
    found = _places(left, WITNESS)
    assert found >= {
        "printed", "lake/tables", "lake/specs", "lake/receipts", "lake/report", "prefect/prefect.db", "prefect/storage",
    }, found  # fmt: skip
    assert _places(left, "no reply for") >= {"lake/tables", "printed", "prefect/prefect.db"}, "the echo came through"


@pytest.mark.parametrize("name", sorted(KEYS))
def test_a_key_is_found_nowhere(name: str, left: Left) -> None:
    assert _places(left, KEYS[name]) == set()


def test_the_search_finds_a_planted_key(left: Left, tmp_path: Path) -> None:
    key = KEYS["host"]
    packed = base64.b64encode(f"x{key}yz".encode()).decode()
    for name, text in {"raw.txt": key, "packed.json": packed, "quoted.txt": quote(key, safe="")}.items():
        (tmp_path / name).write_text(f"<{text}>")
    with sqlite3.connect(tmp_path / "some.db") as database:
        database.execute("create table t (a)")
        database.execute("insert into t values (?)", ["x" * 5000 + KEYS["host"]])
    database.close()
    assert _places(Left(tmp_path, "", [], set()), KEYS["host"]) == {"raw.txt", "packed.json", "quoted.txt", "some.db"}


def test_a_log_names_the_record_that_failed(left: Left) -> None:
    """The request for one tool's instructions was refused: its combination is a reject that the log names."""
    refused = next(row for row in _rejects(left) if row["stage"] == "instructions" and row["reason"] == "no_reply")
    assert f"instructions: {refused['record_id']}: no_reply: " in left.printed
    assert "It was asked for record " in left.printed
