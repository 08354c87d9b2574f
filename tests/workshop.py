"""What tests of whole stages share: servers on free ports, small catalogues, and a stage run as a flow would run it."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import uvicorn

from toolbench.demo import HOST
from toolbench.lake import Draft, Entry, Lake, Receipt, Snapshot, Spec
from toolbench.records import Api, Parameter, Tool
from toolbench.settings import Settings
from toolbench.teacher.offline import Faults, create_app

Work = Callable[[Lake, Spec, Settings, Callable[[], None]], Coroutine[Any, Any, Receipt]]


class Server:
    """An ASGI application on a free loopback port, in a thread."""

    def __init__(self, app: Any) -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        # asyncio sets this only on sockets that know their protocol; without it an answer comes 40 ms late.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def asked(self) -> int:
        """Chat requests since the start or the last reset."""
        return int(httpx.get(f"{self.url}/stats").json()["chat"])

    def reset(self) -> None:
        """Forget the requests so far."""
        httpx.post(f"{self.url}/reset")

    def stop(self) -> None:
        """Nobody listens on the port afterwards."""
        self._server.should_exit = True
        self._thread.join()


def offline(**faults: Any) -> Server:
    """An offline teacher with these faults."""
    return Server(create_app(Faults(**faults)))


class Mortal:
    """An application that answers 500 to every chat request after the first `lives`."""

    def __init__(self, lives: int) -> None:
        self._app, self._lives = create_app(), lives

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/chat/completions"):
            self._lives -= 1
            if self._lives < 0:
                await send({"type": "http.response.start", "status": 500, "headers": []})
                await send({"type": "http.response.body", "body": b"gone"})
                return
        await self._app(scope, receive, send)


def settings_for(lake: Lake, teacher_url: str, hub_url: str = "", **sections: Any) -> Settings:
    """Settings of a test: the seed is fixed, retries are off."""
    hub = {"connect": hub_url, "methods": ["POST"], "rate": 0, "concurrency": 64}
    defaults: dict[str, dict[str, Any]] = {
        "judge": {"votes": 1},
        "teacher": {"base_url": f"{teacher_url}/v1", "max_retries": 0},
        "apis": {"hosts": {HOST: hub}} if hub_url else {"chain": ("simulated",)},
    }
    merged = {name: {**defaults.get(name, {}), **sections.get(name, {})} for name in {*defaults, *sections}}
    return Settings(lake=lake.uri, seed=7, **merged)


@dataclass
class Worked:
    """What a stage left: its shards and the snapshot in which they are published."""

    specs: list[Spec]
    receipts: list[Receipt]
    view: Snapshot


def work_on(
    lake: Lake, specs: Sequence[Spec], settings: Settings, work: Work, tables: tuple[str, ...], main: str
) -> Worked:
    """Run a stage's shards one after the other, check their counts, publish them."""
    receipts = [asyncio.run(work(lake, spec, settings, lambda: None)) for spec in specs]
    for receipt in receipts:
        receipt.check(main)
    return Worked(list(specs), receipts, publish(lake, receipts, tables))


def publish(lake: Lake, receipts: Iterable[Receipt], tables: tuple[str, ...]) -> Snapshot:
    """Publish receipts as one snapshot."""
    draft = Draft()
    draft.add(list(receipts), tables)
    return lake.publish(draft, "test")


def written(lake: Lake) -> dict[str, bytes]:
    """Every table and receipt of a lake, byte by byte."""
    keys = [key for top in ("tables", "receipts") for key, _ in lake.store.list(top)]
    return {key: lake.store.read(key) for key in keys}


def forget(lake: Lake, *specs: Spec) -> None:
    """Remove what shards wrote, all but their journals."""
    for spec in specs:
        lake.store.delete([key for key, _ in lake.store.list("tables") if spec.digest in key])
        lake.store.delete([f"receipts/{spec.digest}.json"])


def journaled(lake: Lake, spec: Spec, kind: str = "chat") -> list[dict[str, Any]]:
    """The journal's rows of one kind, answers read."""
    rows = []
    for key, _ in lake.store.list(f"journals/{spec.digest}"):
        rows += pq.read_table(Path(lake.store.path(key)), partitioning=None).to_pylist()
    return [{**row, "answer": json.loads(row["answer"])} for row in rows if row["kind"] == kind]


def respecified(spec: Spec, content: str = "", **inputs: list[Entry]) -> Spec:
    """A specification with other inputs, and so with another name."""
    return Spec.model_validate(
        {**spec.model_dump(), "content": content or spec.content, "inputs": {**spec.inputs, **inputs}}
    )


def an_api(tool: str, name: str, *, category: str = "Weather", split: Any = "train", **fields: Any) -> Api:
    """An API with one required parameter, `city`."""
    function = f"{name}_for_{tool}".lower()
    city = {"city": {"type": "string", "description": "A city", "examples": ["Oslo"]}}
    shape = {"type": "object", "properties": city, "required": ["city"]}
    definition = {"name": function, "description": f"{tool}: the {name} of a city", "parameters": shape}
    defaults: dict[str, Any] = {
        "id": f"{category}/{tool.lower()}/{name.lower()}",
        "tool_id": f"{category}/{tool.lower()}",
        "tool": tool,
        "name": name,
        "category": category,
        "collections": [],
        "description": f"The {name} of a city",
        "method": "GET",
        "url": f"https://{tool.lower()}.example.org/{name}",
        "parameters": [Parameter(name="city", shown_as="city", type="string", required=True, description="A city")],
        "function": function,
        "definition": json.dumps(definition),
        "split": split,
        "digest": f"{tool}-{name}",
    }
    return Api(**{**defaults, **fields})


def a_tool(api: Api, description: str = "Facts about the sky") -> Tool:
    """The tool that an API belongs to."""
    return Tool(
        id=api.tool_id,
        name=api.tool,
        title=api.tool,
        description=description,
        category=api.category,
        collections=api.collections,
        base_url="",
        origin="toolenv",
        split=api.split,
        digest=f"{api.tool}-{description}",
    )


@dataclass
class Factory:
    """A lake after every stage, with an honest teacher and the real hub behind it."""

    lake: Lake
    settings: Settings
    catalogue: Snapshot
    instructions: Worked
    solutions: Worked
    judgments: Worked
    dataset: Worked


def chain(lake: Lake, settings: Settings) -> Factory:
    """All stages, one after the other, as the flows run them."""
    from toolbench import catalogue, datasets, instructions, solutions, tooleval

    collected = publish(lake, catalogue.collect(lake, settings)[0], catalogue.TABLES)
    categories = sorted({e.partition["category"] for e in collected.entries("apis")})
    specs = instructions.plan(lake, collected, settings, categories=categories)
    made = work_on(lake, specs, settings, instructions.generate, instructions.TABLES, "instructions")
    partitions = partitions_of(made.view, "instructions")
    specs = solutions.plan(lake, made.view, settings, partitions=partitions)
    solved = work_on(lake, specs, settings, solutions.annotate, solutions.TABLES, "solutions")
    specs = tooleval.plan(solved.view, settings, partitions=partitions)
    judged = work_on(lake, specs, settings, tooleval.judge, tooleval.TABLES, "judgments")
    specs = datasets.plan(judged.view, partitions=partitions)
    built = work_on(lake, specs, settings, datasets.build, datasets.TABLES, "conversations")
    return Factory(lake, settings, collected, made, solved, judged, built)


def partitions_of(view: Snapshot, table: str) -> list[dict[str, str]]:
    """The partitions of a table, each once."""
    return list({json.dumps(e.partition, sort_keys=True): e.partition for e in view.entries(table)}.values())
