"""Solutions made again from their journals alone, and compared with what is published, byte by byte.

Nothing outside is asked: teacher and APIs are replaced by ones that only say what is missing. The rules of the search
come from each shard's specification, not from today's settings. What is made again is kept in memory and thrown away.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolbench.apis import Chain
from toolbench.errors import LakeError, ToolbenchError
from toolbench.lake import Entry, Lake, Spec
from toolbench.lake.store import Store
from toolbench.records import Api, Reply, Response, Solution
from toolbench.settings import Settings
from toolbench.solutions.annotate import STAGE, TABLES, VERSION, annotate
from toolbench.solutions.messages import prompt_digest
from toolbench.teacher import Teacher
from toolbench.world import World


@dataclass(slots=True)
class Replayed:
    """What came of one shard."""

    spec: str
    label: str = ""
    solutions: int = 0
    replies: int = 0
    """Answers of the teacher taken from the journal."""
    responses: int = 0
    """Answers of APIs taken from the journal."""
    asked: int = 0
    """Answers that the journal lacks."""
    problem: str = ""
    """Why it is not equal; empty if it is."""


@dataclass(slots=True)
class Report:
    """What came of all shards."""

    shards: list[Replayed] = field(default_factory=list)
    imported: int = 0
    """Shards of answers that came from files: nothing was searched, so there is nothing to replay."""

    @property
    def equal(self) -> bool:
        """Every shard was made again as it is published."""
        return not any(shard.problem for shard in self.shards)

    def total(self, name: str) -> int:
        """The sum of one of the counts."""
        return sum(getattr(shard, name) for shard in self.shards)


class Unanswered(LakeError):
    """The journal lacks an answer."""


def replay(lake: Lake, told: Callable[[Replayed], None] | None = None) -> Report:
    """Make the solutions of the newest snapshot again, a shard at a time; `told` of each. Nothing is written.

    A shard that cannot be made again is a problem in the report. Raises LakeError if the snapshot cannot be read.
    """
    view = lake.snapshot()
    published: dict[str, list[Entry]] = {}
    for table in (*TABLES, "rejects"):
        for entry in view.entries(table):
            if table != "rejects" or entry.partition.get("stage") == STAGE:
                published.setdefault(entry.spec, []).append(entry)
    report = Report()
    for entry in view.entries(Solution.TABLE):
        if "answers" in entry.partition:
            report.imported += 1
            continue
        shard = Replayed(spec=entry.spec, solutions=entry.rows)
        try:
            _again(lake, shard, published[entry.spec])
        except ToolbenchError as error:
            shard.problem = shard.problem or str(error)
        report.shards.append(shard)
        if told:
            told(shard)
    return report


def _again(lake: Lake, shard: Replayed, published: Sequence[Entry]) -> None:
    spec = lake.spec(f"specs/{STAGE}/{shard.spec}.json")
    shard.label = spec.label
    if (why := _other_code(spec)) is not None:
        shard.problem = why
        return
    beside = _Beside(lake)

    def world(lake: Lake, spec: Spec, settings: Settings, *, apis: bool = False) -> World:
        return _Remembered(lake, spec, settings, shard)

    asyncio.run(annotate(beside, spec, _settings(lake, spec), lambda: None, world=world))
    made = {key: data for key, data in beside.written.items() if key.startswith("tables/")}
    for entry in published:
        if made.pop(entry.path, None) != lake.store.read(entry.path):
            shard.problem = f"{lake.store.url(entry.path)} comes out differently from what is published."
            return
    if made:
        shard.problem = f"{next(iter(made))} comes out besides what is published."


def _other_code(spec: Spec) -> str | None:
    """Why this toolbench cannot be expected to ask what the shard asked; None if it can."""
    params = spec.params
    if params.get("version") != VERSION:
        return f"It was made by version {params.get('version')} of the search, this toolbench has {VERSION}."
    if params.get("prompts") != prompt_digest():
        return "It was made with other prompts than this toolbench has: replay it with the toolbench that made it."
    return None


def _settings(lake: Lake, spec: Spec) -> Settings:
    """Settings of which all that decides the bytes is the specification's."""
    params = spec.params
    teacher = {name: params[name] for name in ("model", "temperature", "max_output_tokens")}
    search, compression = params["search"], params["compression"]
    try:
        return Settings(lake=lake.uri, seed=params["seed"], teacher=teacher, search=search, compression=compression)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise LakeError(f"The specification {spec.digest} names rules that no search here has ({reason}).") from None


class _Remembered(World):
    """The world as the journal knows it."""

    def __init__(self, lake: Lake, spec: Spec, settings: Settings, shard: Replayed) -> None:
        super().__init__(lake, spec, settings)
        self._shard = shard
        self._teacher = _Silent(settings, shard)
        self._chain = _NoApis(shard)

    async def chat(self, record: str, messages: Sequence[Mapping[str, Any]], **request: Any) -> Reply:
        try:
            reply = await super().chat(record, messages, **request)
        except Unanswered:
            raise self._lacks("a reply of the teacher", record) from None
        self._shard.replies += 1
        return reply

    async def call(self, record: str, api: Api, arguments: str) -> Response:
        try:
            response = await super().call(record, api, arguments)
        except Unanswered:
            raise self._lacks(f"a response of {api.id}", record) from None
        self._shard.responses += 1
        return response

    def _lacks(self, what: str, record: str) -> Unanswered:
        return Unanswered(
            f"The journal of shard {self._shard.spec} ({self._shard.label}) lacks {what} for instruction {record}."
        )


class _Silent(Teacher):
    def __init__(self, settings: Settings, shard: Replayed) -> None:
        super().__init__(settings.teacher)
        self._shard = shard

    async def send(self, body: Mapping[str, Any]) -> Reply:
        self._shard.asked += 1
        raise Unanswered("")


class _NoApis(Chain):
    def __init__(self, shard: Replayed) -> None:
        super().__init__([])
        self._shard = shard

    async def call(self, api: Api, arguments: str) -> Response:
        self._shard.asked += 1
        raise Unanswered("")


class _Beside(Lake):
    """A lake that reads what another holds, and keeps to itself what is written."""

    def __init__(self, lake: Lake) -> None:
        super().__init__(lake.uri)
        self.written: dict[str, bytes] = {}
        self.store = _Kept(lake.uri, self.written)


class _Kept(Store):
    def __init__(self, uri: str, written: dict[str, bytes]) -> None:
        super().__init__(uri)
        self._written = written

    def read(self, key: str) -> bytes:
        return self._written[key] if key in self._written else super().read(key)

    def write(self, key: str, data: bytes) -> None:
        self._written[key] = data

    def create(self, key: str, data: bytes) -> bool:
        self._written[key] = data
        return True

    def delete(self, keys: list[str]) -> None:
        for key in keys:
            self._written.pop(key, None)
