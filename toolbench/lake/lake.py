"""Tables of Parquet shards in object storage, published as snapshots.

Layout below the lake's root:

    lake.json                             the lake's id
    specs/<stage>/<spec>.json             what a shard is made from
    journals/<spec>/….parquet             what the outside world answered while it was made
    tables/<table>/<spec>-<hash>.parquet  its rows
    receipts/<spec>.json                  written last: the shard is done
    batches/<name>.json                   requests sent to the Batch API, until their replies are in journals
    drafts/<digest>.json                  a change on its way from stage to stage
    nights/<account>/…                    what is left of a run's budget, while it runs
    models/<name>/<spec>/…                trained models
    reports/<number>/…                    the pages of a snapshot, where they were published
    embeddings/<encoder>/….npz            embeddings made before, by the encoder's identity
    manifests/<12 digits>.json            snapshots; the highest number is the current one
"""

import asyncio
import dataclasses
import datetime
import io
import json
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from toolbench.digests import digest
from toolbench.errors import ConflictError, LakeError, UsageError
from toolbench.lake.model import Draft, Entry, Identity, ModelEntry, Receipt, Snapshot, Spec, Usage, parse
from toolbench.lake.store import Store, sha256
from toolbench.records import RECORDS, Record, Run
from toolbench.schemas import from_table, schema_of, to_table

R = TypeVar("R", bound=Record)
_PUBLISH_TRIES = 20
_COLLECTED = ("specs", "journals", "tables", "receipts", "drafts", "nights", "models", "embeddings", "manifests")
"""Folders that garbage is looked for in."""
_THREADED = 2**22
"""Bytes of a file beyond which several threads read it."""


class Lake:
    """The lake at `uri` (a local path, `s3://bucket/prefix`, `memory://name`)."""

    def __init__(self, uri: str) -> None:
        self.store = Store(uri)
        self.uri = self.store.uri

    @cached_property
    def id(self) -> str:
        """A name drawn when the lake is first written, and again by gc: what is cached elsewhere dies with it."""
        if not self.store.exists("lake.json"):
            self.store.create("lake.json", Identity(id=uuid.uuid4().hex).model_dump_json().encode())
        found: Identity = parse(Identity, self._read("lake.json"), self.store.url("lake.json"))
        return found.id

    # Shards

    def put_spec(self, spec: Spec) -> str:
        """Store a specification; returns its key.

        One that is there is replaced: its digest is the same, but its inputs may lie elsewhere by now.
        """
        key = f"specs/{spec.stage}/{spec.digest}.json"
        self.store.write(key, spec.model_dump_json().encode())
        return key

    def spec(self, key: str) -> Spec:
        """The specification under `key`. Raises LakeError if it is gone or damaged."""
        found: Spec = parse(Spec, self._read(key), self.store.url(key))
        return found

    def receipt(self, spec: str) -> Receipt | None:
        """The receipt of the shard `spec`, or None while it is not done."""
        key = f"receipts/{spec}.json"
        try:
            data = self.store.read(key)
        except FileNotFoundError:
            return None
        found: Receipt = parse(Receipt, data, self.store.url(key))
        return found

    def finish(
        self,
        spec: Spec,
        rows: Mapping[type[Record], Sequence[Record]],
        *,
        taken_in: int,
        passed_on: int,
        usage: Usage | None = None,
        outcomes: Mapping[str, int] | None = None,
        model: str = "",
    ) -> Receipt:
        """Write a shard's files and then its receipt. The same rows give the same bytes at the same keys.

        Where two workers did the same shard at once and the world answered them differently, the first receipt stays
        and is what both are given.
        """
        tables = {
            record.TABLE: self._write_rows(record, spec, items)
            for record, items in sorted(rows.items(), key=lambda pair: pair[0].TABLE)
            if items
        }
        rejects = [r for kind, items in rows.items() if kind.TABLE == "rejects" for r in items]
        reasons: dict[str, int] = {}
        for reject in rejects:
            reason = str(getattr(reject, "reason", ""))
            reasons[reason] = reasons.get(reason, 0) + 1
        receipt = Receipt(
            stage=spec.stage,
            spec=spec.digest,
            label=spec.label,
            partition=spec.partition,
            taken_in=taken_in,
            passed_on=passed_on,
            rejected=len(rejects),
            reasons=dict(sorted(reasons.items())),
            outcomes=dict(sorted((outcomes or {}).items())),
            usage=usage or Usage(),
            model=model,
            tables=tables,
        )
        key = f"receipts/{spec.digest}.json"
        if not self.store.create(key, receipt.model_dump_json(indent=1).encode()):
            return self.receipt(spec.digest) or receipt
        return receipt

    def _write_rows(self, record: type[Record], spec: Spec, rows: Sequence[Record]) -> Entry:
        buffer = io.BytesIO()
        pq.write_table(_table(record, rows), buffer, compression="zstd", write_page_checksum=True)
        data = buffer.getvalue()
        checksum = sha256(data)
        # The hash keeps another worker's different bytes from being written over these, which may be published by then.
        key = f"tables/{record.TABLE}/{spec.digest}-{checksum[:8]}.parquet"
        self.store.write(key, data)
        partition = {**spec.partition, "stage": spec.stage} if record.TABLE == "rejects" else spec.partition
        return Entry(path=key, rows=len(rows), bytes=len(data), sha256=checksum, partition=partition, spec=spec.digest)

    def copy_journal(self, spec: str, other: str) -> None:
        """Give the shard `other` the journal of the shard `spec` as its own."""
        for key, _ in self.store.list(f"journals/{spec}"):
            self.store.write(f"journals/{other}/{key.rpartition('/')[2]}", self.store.read(key))

    # Reading

    def table(self, entry: Entry, record: type[Record], columns: Sequence[str] | None = None) -> pa.Table:
        """One file as an arrow table, its checksum verified; only some `columns`, if named: the others are not decoded.

        Raises LakeError if the file is gone or damaged.
        """
        data = self._read(entry.path)
        if sha256(data) != entry.sha256:
            raise LakeError(
                f"{self.store.url(entry.path)} does not match its checksum in the manifest; restore it from a copy, "
                f"or delete it and receipts/{entry.spec}.json and run again."
            )
        # Not `read_table`, and no file object of Python's: it leaves threads behind that a process that ends meanwhile
        # dies of.
        wanted = None if columns is None else list(columns)
        # Small files, which most are, take longer to hand to other threads than to read.
        table = pq.ParquetFile(pa.BufferReader(data)).read(wanted, use_threads=len(data) > _THREADED)
        known = schema_of(record)
        version = int((table.schema.metadata or {}).get(b"toolbench.version", b"1"))
        if version > record.VERSION:
            raise LakeError(
                f"{self.store.url(entry.path)} holds {record.__name__} version {version}, this toolbench reads up to "
                f"{record.VERSION}; upgrade toolbench."
            )
        return table.select([name for name in known.names if name in table.column_names])

    def read(self, entries: Iterable[Entry], record: type[R], ids: Collection[str] | None = None) -> Iterator[R]:
        """The rows of some files, one file in memory at a time; with `ids` only those, and only these become records:
        a shard needs few of the many rows that a file of a large catalogue has."""
        values = None if ids is None else pa.array(sorted(ids), pa.string())
        for entry in entries:
            table = self.table(entry, record)
            yield from from_table(record, table if values is None else table.filter(pc.is_in(table["id"], values)))

    async def fetch(self, entries: Iterable[Entry], record: type[R], ids: Collection[str] | None = None) -> list[R]:
        """As `read`, in a thread: for work in a loop that other shards share."""
        return await asyncio.to_thread(lambda: list(self.read(entries, record, ids)))

    def digests(self, entries: Iterable[Entry], record: type[Record]) -> dict[str, str]:
        """Id → content digest of the rows of some files of `tools` or `apis`; no other column is looked at."""
        found: dict[str, str] = {}
        for entry in entries:
            columns = self.table(entry, record).select(["id", "digest"]).to_pydict()
            found |= dict(zip(columns["id"], columns["digest"], strict=True))
        return found

    def rows(self, snapshot: Snapshot, record: type[R]) -> Iterator[R]:
        """All rows of a record's table in a snapshot."""
        return self.read(snapshot.entries(record.TABLE), record)

    def pick(self, snapshot: Snapshot, record: type[R], column: str, wanted: Collection[str]) -> Iterator[R]:
        """The rows of a snapshot whose `column` is one of `wanted`; only these become records."""
        values = pa.array(sorted(wanted), pa.string())
        for entry in snapshot.entries(record.TABLE):
            if not pc.any(pc.is_in(self.table(entry, record, [column])[column], values)).as_py():
                continue  # nothing else of it is decoded
            table = self.table(entry, record)
            yield from from_table(record, table.filter(pc.is_in(table[column], values)))

    def _read(self, key: str) -> bytes:
        try:
            return self.store.read(key)
        except FileNotFoundError:
            raise LakeError(
                f"{self.store.url(key)} is missing although it is referred to; restore it from a copy or run again."
            ) from None

    # Snapshots

    def numbers(self) -> list[int]:
        """Numbers of the published snapshots, ascending."""
        keys = [key for key, _ in self.store.list("manifests") if key.endswith(".json")]
        return sorted(int(Path(key).stem) for key in keys if Path(key).stem.isdigit())

    def snapshot(self, number: int | None = None) -> Snapshot:
        """A published snapshot, the newest by default; the empty one if nothing was published yet."""
        if number is None:
            number = max(self.numbers(), default=0)
        if number == 0:
            return Snapshot()
        key = f"manifests/{number:012d}.json"
        try:
            data = self.store.read(key)
        except FileNotFoundError:
            known = ", ".join(map(str, self.numbers())) or "none"
            raise LakeError(f"There is no snapshot {number} in {self.uri}; there are: {known}.") from None
        found: Snapshot = parse(Snapshot, data, self.store.url(key))
        return found

    def put_draft(self, draft: Draft) -> str:
        """Store a draft; returns its key."""
        key = f"drafts/{digest(draft.model_dump())}.json"
        self.store.write(key, draft.model_dump_json().encode())
        return key

    def draft(self, key: str) -> Draft:
        """The draft under `key`."""
        found: Draft = parse(Draft, self._read(key), self.store.url(key))
        return found

    def changes(self, draft: Draft, base: Snapshot) -> bool:
        """True if publishing `draft` on top of `base` would change anything."""
        after = draft.view(base)
        return after.tables != base.tables or after.models != base.models

    def add_runs(self, draft: Draft) -> None:
        """Write the `runs` rows of a draft as a shard of their own, and put it into the draft."""
        name = uuid.uuid4().hex[:16]
        rows = [Run(**{**row, "id": f"{name}/{n}", "spec": name}) for n, row in enumerate(draft.runs)]
        partition = {"run": name}
        spec = Spec(stage="runs", label=name, partition=partition, records=[name], content=name, params={})
        entry = self._write_rows(Run, spec, rows)
        draft.put(Run.TABLE, partition, [entry])

    def publish(self, draft: Draft, flow: str) -> Snapshot:
        """Make a change visible by one conditional put of the next manifest.

        A writer that finds its number taken reads the newer snapshot and applies its change to that one. A change
        that changes nothing publishes nothing and returns the current snapshot. Raises ConflictError if others were
        faster too many times, LakeError if a file that would be listed is missing.
        """
        self._check_present(draft)
        for _ in range(_PUBLISH_TRIES):
            base = self.snapshot()
            if not self.changes(draft, base):
                return base
            after = draft.view(base)
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            after = after.model_copy(update={"number": base.number + 1, "created_at": now, "flow": flow})
            if self.store.create(f"manifests/{after.number:012d}.json", after.model_dump_json(indent=1).encode()):
                return after
        raise ConflictError(
            f"{_PUBLISH_TRIES} times another writer published to {self.uri} first; run the same command again."
        )

    def _check_present(self, draft: Draft) -> None:
        entries = [e for partitions in draft.replace.values() for p in partitions.values() for e in p]
        sizes = dict(self.store.list("tables")) if entries else {}
        for entry in entries:
            if sizes.get(entry.path) != entry.bytes:
                raise LakeError(
                    f"{self.store.url(entry.path)} is missing or has another size than its receipt says; delete "
                    f"receipts/{entry.spec}.json in the lake and run again."
                )

    # Models

    def put_model(self, name: str, spec: str, folder: Path, metrics: Mapping[str, object]) -> ModelEntry:
        """Copy a trained model's folder into the lake."""
        files = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            data = path.read_bytes()
            relative = path.relative_to(folder).as_posix()
            self.store.write(f"models/{name}/{spec}/{relative}", data)
            files[relative] = sha256(data)
        return ModelEntry(path=f"models/{name}/{spec}", files=files, metrics=dict(metrics), spec=spec)

    def get_model(self, entry: ModelEntry, folder: Path) -> Path:
        """Copy a model out of the lake into `folder`, checksums verified; returns `folder`."""
        for name, checksum in entry.files.items():
            data = self._read(f"{entry.path}/{name}")
            if sha256(data) != checksum:
                raise LakeError(f"{self.store.url(f'{entry.path}/{name}')} does not match its checksum; train again.")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return folder

    # Housekeeping

    def garbage(self, keep: int) -> list[tuple[str, int]]:
        """Keys and sizes that none of the newest `keep` snapshots refers to; reports of others are among them.

        Specs, journals and receipts of shards that are listed stay: they make the shards auditable and replayable.
        Raises UsageError unless at least one snapshot is kept.
        """
        if keep < 1:
            raise UsageError(f"At least one snapshot has to be kept, not {keep}; to remove all, delete {self.uri}.")
        numbers = self.numbers()
        kept = [self.snapshot(n) for n in numbers[-keep:]]
        entries = [e for s in kept for found in s.tables.values() for e in found]
        models = [m for s in kept for m in s.models.values()]
        specs = {e.spec for e in entries} | {m.spec for m in models}
        # Embeddings go with the encoder that made them, which the indexes made of them name.
        specs |= {str(name) for m in models for name in m.metrics.get("encoders", [])}
        listed = {e.path for e in entries} | {f"manifests/{n:012d}.json" for n in numbers[-keep:]}
        out = []
        for key, size in self.store.list(""):
            top, _, rest = key.partition("/")
            number = rest.partition("/")[0]
            if top == "reports" and number.isdigit() and int(number) not in numbers[-keep:]:
                out.append((key, size))
            if top not in _COLLECTED:
                continue
            parts = {Path(part).stem for part in rest.split("/")}
            if key not in listed and (top in ("tables", "manifests") or not parts & specs):
                out.append((key, size))
        return out

    def collect_garbage(self, keep: int) -> list[tuple[str, int]]:
        """Remove `garbage(keep)`; returns what was removed."""
        removed = self.garbage(keep)
        self.store.write("lake.json", Identity(id=uuid.uuid4().hex).model_dump_json().encode())
        # Manifests first, so that no reader is ever pointed at a file that is gone.
        self.store.delete([k for k, _ in removed if k.startswith("manifests/")])
        self.store.delete([k for k, _ in removed if not k.startswith("manifests/")])
        self.__dict__.pop("id", None)
        return removed


def _table(record: type[Record], rows: Sequence[Record]) -> pa.Table:
    """The rows as an arrow table. Half a surrogate pair, which JSON can spell and UTF-8 cannot, becomes `?`."""
    try:
        return to_table(record, rows)
    except UnicodeEncodeError:
        text = json.dumps([dataclasses.asdict(row) for row in rows], ensure_ascii=False)  # type: ignore[call-overload]
        return pa.Table.from_pylist(json.loads(text.encode("utf-8", "replace")), schema=schema_of(record))


def known_table(name: str) -> type[Record]:
    """The record of a table. Raises UsageError naming the tables there are."""
    if name not in RECORDS:
        raise UsageError(f"There is no table {name!r}; choose one of {', '.join(RECORDS)}.")
    return RECORDS[name]
