"""The journal: what the outside world answered while a shard was made.

Format (version 1): Parquet files below `journals/<spec>/`, one row an answer.

| column | type | meaning |
|---|---|---|
| version | int32 | 1 |
| record | string | id of the record the question was asked for |
| kind | string | `chat` or `api` |
| request | string | digest of the request (32 hex digits) |
| occurrence | int32 | how often the same record had asked the same before |
| answer | string | the answer, as JSON text |
| started_at | timestamp[ms, UTC] | when it was asked |
| seconds | double | how long the answer took, retries included |

A request is not stored: replaying the shard makes it again, and its digest proves that it is the same. Each writer adds
files of its own (`<writer>-<number>.parquet`); when the shard is done it merges them, and what it has read, into one.

A shard may be given the journals of earlier ones that worked on some of the same records: what they were answered is
replayed, too, and copied into its own journal, which so stays complete. Read a journal with
`pandas.read_parquet("…/journals/<spec>")`; where a merge was interrupted, or a shard had two writers, rows may stand
there twice.

What the caller allows to be shared is asked for once in a shard, whatever record asks (see `toolbench.lake.memo`), and
stands in the journal once for each record: a replay depends on nobody's timing.

Size, measured: 110 bytes an answer, and 200 a call of the teacher with the API responses it led to, once merged; in a
shard of four instructions 440 a call, as a file of its own has a fixed part.
"""

import asyncio
import contextlib
import datetime
import io
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from toolbench.digests import digest
from toolbench.errors import LakeError, ToolbenchError
from toolbench.lake.lake import Lake
from toolbench.lake.memo import Fit, Memo

VERSION = 1

FLUSH_SECONDS = 0.5
"""How long an answer may wait for its write: half of the second that is promised, the write itself takes some."""

SCHEMA = pa.schema(
    [
        pa.field("version", pa.int32(), nullable=False),
        pa.field("record", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("request", pa.string(), nullable=False),
        pa.field("occurrence", pa.int32(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
        pa.field("started_at", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)

_Key = tuple[str, str, str, int]
_Row = dict[str, Any]


class Journal:
    """The journal of one shard: `async with Journal(lake, spec) as journal: await journal.answer(…)`.

    What earlier tries of the shard were answered is replayed, and what the shards named in `earlier` were; what is new
    is written at most a second after it came.
    """

    def __init__(self, lake: Lake, spec: str, *, earlier: Sequence[str] = ()) -> None:
        self._store = lake.store
        self._folder = f"journals/{spec}"
        self._earlier = [f"journals/{name}" for name in earlier if name != spec]
        self._borrowed: dict[_Key, _Row] = {}
        """Answers of earlier shards."""
        self._writer = uuid.uuid4().hex[:12]
        self._rows: dict[_Key, _Row] = {}
        self._pending: list[_Row] = []
        self._seen: dict[tuple[str, str, str], int] = {}
        self._memo = Memo()
        self._parts: list[str] = []
        """Files this object has read or written: what it may merge."""
        self._written = 0
        self._flusher: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self.replayed = 0
        """Answers taken from the journal."""
        self.asked = 0
        """Answers that came from outside."""
        self.shared = 0
        """Answers that another request of the shard, equal to this one, had been given."""

    async def __aenter__(self) -> "Journal":
        await asyncio.to_thread(self._load)
        self._flusher = asyncio.create_task(self._keep_flushing())
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher
        await self.flush()

    @property
    def saved(self) -> bool:
        """Whether every answer so far is written."""
        return not self._pending and not self._lock.locked()

    async def answer(
        self, record: str, kind: str, request: Any, ask: Callable[[], Awaitable[Any]], *, fit: Fit | None = None
    ) -> Any:
        """The answer to `request` as a JSON value: from the journal if it was answered before, else from `ask()`.

        `fit`: an answer that the shard has got to the same request, for whatever record, will do as well; see `Memo`.
        Whatever `ask` raises passes through and is not journaled: only answers are. A failed write raises LakeError,
        here or at the end of the block.
        """
        name = digest(request, 32)
        asked_before = (record, kind, name)
        occurrence = self._seen.get(asked_before, 0)
        self._seen[asked_before] = occurrence + 1
        key = (*asked_before, occurrence)
        if (row := self._rows.get(key)) is not None:
            self.replayed += 1
            return json.loads(row["answer"])
        if (row := self._borrowed.get(key)) is not None:
            self.replayed += 1
            self._rows[key] = row
            self._pending.append(row)
            return json.loads(row["answer"])
        self._raise_if_broken()
        started, clock = datetime.datetime.now(datetime.UTC), time.monotonic()

        async def text() -> str:
            try:
                value = await ask()
            except ToolbenchError as error:
                error.add_note(f"It was asked for record {record}.")  # for the log; the user is told the sentence
                raise
            self.asked += 1
            # Half a surrogate pair, as from servers that cut text short, is no Unicode: no column could hold it.
            return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()

        if fit is None:
            answer = await text()
        else:
            answer, shared = await self._memo.answer((kind, name), fit, text)
            self.shared += shared
        row = {
            "version": VERSION, "record": record, "kind": kind, "request": name, "occurrence": occurrence,
            "answer": answer, "started_at": started, "seconds": round(time.monotonic() - clock, 6),
        }  # fmt: skip
        self._rows[key] = row
        self._pending.append(row)
        # The caller gets what a replay would give it, so that both ways lead to the same bytes.
        return json.loads(answer)

    async def flush(self) -> None:
        """Write what is pending. Raises LakeError if storage fails; nothing pending is forgotten then."""
        async with self._lock:
            if not self._pending:
                return
            rows, self._pending = self._pending, []
            # A new name for every try: a cancelled write may still be on its way and must not overtake its successor.
            key = self._new_part()
            try:
                await asyncio.to_thread(self._write, key, rows)
            except BaseException:
                self._pending = rows + self._pending
                raise

    async def compact(self) -> None:
        """Merge all parts into one file, sorted. Called when the shard is done."""
        await self.flush()
        await asyncio.to_thread(self._compact)

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    def _raise_if_broken(self) -> None:
        # A journal that cannot be written must stop the spending at once.
        if self._flusher is not None and self._flusher.done() and not self._flusher.cancelled():
            error = self._flusher.exception()
            if error is not None:
                raise error

    def _load(self) -> None:
        for folder in self._earlier:
            for key, _ in self._store.list(folder):
                with contextlib.suppress(FileNotFoundError):  # merged meanwhile: its answers are asked for again
                    for row in self._read(key):
                        self._borrowed.setdefault(_key(row), row)
        self._load_own()

    def _load_own(self) -> None:
        for key in self._listed():
            try:
                rows = self._read(key)
            except FileNotFoundError:
                # Another writer of this shard has merged it meanwhile: its rows stand in a file that is new.
                return self._load_own()
            self._parts.append(key)
            for row in rows:
                self._rows.setdefault(_key(row), row)
                self._memo.learn((row["kind"], row["request"]), row["answer"])
        return None

    def _listed(self) -> list[str]:
        return [key for key, _ in self._store.list(self._folder) if key not in self._parts]

    def _new_part(self) -> str:
        self._written += 1
        key = f"{self._folder}/{self._writer}-{self._written:06d}.parquet"
        self._parts.append(key)
        return key

    def _read(self, key: str) -> list[_Row]:
        data = self._store.read(key)
        try:
            found = pq.ParquetFile(pa.BufferReader(data)).read()  # as in `Lake.table`
            rows: list[_Row] = found.select(SCHEMA.names).cast(SCHEMA).to_pylist()
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise LakeError(
                f"{self._store.url(key)} is damaged ({reason}); remove it to ask again for what it held."
            ) from None
        if any(row["version"] > VERSION for row in rows):
            raise LakeError(f"{self._store.url(key)} was written by a newer toolbench; upgrade toolbench to read it.")
        return rows

    def _write(self, key: str, rows: list[_Row]) -> None:
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer, compression="zstd")
        self._store.write(key, buffer.getvalue())

    def _compact(self) -> None:
        if len(self._parts) < 2:
            return
        # Under a name of its own: writing over what another writer merged would lose what only that file holds.
        old = list(self._parts)
        merged = self._new_part()
        self._write(merged, [self._rows[key] for key in sorted(self._rows)])
        self._store.delete(old)
        self._parts = [merged]


def _key(row: _Row) -> _Key:
    return row["record"], row["kind"], row["request"], row["occurrence"]
