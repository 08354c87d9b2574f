"""What the lake writes besides rows: shard specifications, receipts, snapshots. All JSON, all versioned."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from toolbench.digests import canonical, digest
from toolbench.errors import LakeError

Partition = dict[str, str]
"""The part of a table a shard belongs to, for example `{"group": "I2", "category": "Weather"}`."""

FORMAT: Literal[1] = 1
"""Version of everything in this module."""


def labels(partition: Partition, count: int) -> list[str]:
    """What a person calls the `count` shards of a partition: `I2 Weather 1/40`, `I2 Weather 2/40`, …"""
    words = [partition[key] for key in sorted(partition, key=lambda key: (key != "group", key))]
    return [" ".join([*words, f"{number}/{count}"]) for number in range(1, count + 1)]


class Model(BaseModel):
    """Frozen, strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Identity(Model):
    """What `lake.json` holds."""

    format: Literal[1] = FORMAT
    id: str


class Usage(Model):
    """What the teacher was asked and what it cost. Replayed answers count as well: they were paid for once."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    """US dollars, by the price table in settings."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=round(self.cost + other.cost, 9),
        )


class Entry(Model):
    """One Parquet file of a table."""

    path: str
    """Key relative to the lake's root."""
    rows: int
    bytes: int
    sha256: str
    partition: Partition
    spec: str


class Spec(Model):
    """Everything that decides what a shard holds, and where its inputs lie.

    The digest, which names the shard, covers what decides the content and leaves out where it lies, what it is called
    and how it is shown: `inputs`, `earlier`, `label`, `size`.
    """

    format: Literal[1] = FORMAT
    stage: str
    label: str
    """For run names: what a person calls this shard, for example `I2 Weather 17/40`."""
    partition: Partition
    records: list[str]
    """Ids of the records to work on, in order."""
    content: str
    """Digest of the content of those records and of everything they refer to."""
    params: dict[str, Any]
    """The stage's version, model, prompt digests, seeds, limits."""
    inputs: dict[str, list[Entry]] = Field(default_factory=dict)
    """Per table, the files the records are in."""
    earlier: list[str] = Field(default_factory=list)
    """Shards that worked on some of the same records before: what they were answered need not be asked again."""
    size: int = 0
    """How many records the shard will count through, for progress."""

    @property
    def digest(self) -> str:
        """16 hex digits: the shard's name."""
        return digest(self.model_dump(exclude={"label", "inputs", "earlier", "size"}))


class Receipt(Model):
    """What a finished shard left behind. Its presence means: done, nothing to do again."""

    format: Literal[1] = FORMAT
    stage: str
    spec: str
    label: str
    partition: Partition
    taken_in: int
    passed_on: int
    rejected: int
    reasons: dict[str, int] = Field(default_factory=dict)
    """Rejected records by reason."""
    outcomes: dict[str, int] = Field(default_factory=dict)
    """Stage-specific counts, for example solutions by outcome."""
    usage: Usage = Usage()
    model: str = ""
    tables: dict[str, Entry] = Field(default_factory=dict)

    def check(self, main: str) -> None:
        """Raises LakeError unless what came in equals what went out plus what was rejected, row by row."""
        out = self.tables[main].rows if main in self.tables else 0
        rejects = self.tables["rejects"].rows if "rejects" in self.tables else 0
        if self.taken_in != self.passed_on + self.rejected or (out, rejects) != (self.passed_on, self.rejected):
            raise LakeError(
                f"The counts of {self.stage} shard {self.spec} ({self.label}) do not add up: {self.taken_in} in, "
                f"{self.passed_on} out ({out} rows), {self.rejected} rejected ({rejects} rows); nothing was published."
            )


class ModelEntry(Model):
    """A trained model that a snapshot points at."""

    path: str
    """Folder relative to the lake's root."""
    files: dict[str, str]
    """File name → SHA-256."""
    metrics: dict[str, Any]
    spec: str


class Snapshot(Model):
    """One published, immutable version of all tables. Number 0 is the empty lake."""

    format: Literal[1] = FORMAT
    number: int = 0
    created_at: str = ""
    flow: str = ""
    tables: dict[str, list[Entry]] = Field(default_factory=dict)
    models: dict[str, ModelEntry] = Field(default_factory=dict)

    def entries(self, table: str) -> list[Entry]:
        """The files of a table; empty if it has none."""
        return self.tables.get(table, [])

    def files(self, table: str, partitions: Sequence[Partition]) -> Iterator[tuple[str, Entry]]:
        """Label and entry of each file of a table in some partitions."""
        for partition in partitions:
            found = [e for e in self.entries(table) if e.partition == partition]
            yield from zip(labels(partition, len(found)), found, strict=True)

    def shards(self, table: str, partition: Partition) -> list[str]:
        """The names of the shards that wrote a partition of a table."""
        return sorted({e.spec for e in self.entries(table) if e.partition == partition})

    def rows(self, table: str) -> int:
        """Rows of a table."""
        return sum(e.rows for e in self.entries(table))


class Draft(Model):
    """A change to be published: whole partitions of tables put in place of what stands there.

    Replacing by partition makes two publishers commute where they touch different partitions, and makes the later
    one win as a whole where they touch the same.
    """

    replace: dict[str, dict[str, list[Entry]]] = Field(default_factory=dict)
    """table → canonical JSON of the partition → its new files (none: the partition goes)."""
    models: dict[str, ModelEntry] = Field(default_factory=dict)
    runs: list[dict[str, Any]] = Field(default_factory=list)
    """Rows of table `runs` for the stages behind this change, their ids still empty."""

    def put(self, table: str, partition: Partition, entries: list[Entry]) -> None:
        """Set the new files of one partition of `table`."""
        self.replace.setdefault(table, {})[canonical(partition)] = entries

    def add(self, receipts: list[Receipt], tables: tuple[str, ...]) -> None:
        """Take over a stage's shards: each partition they touch gets exactly their files, in `tables` and `rejects`."""
        for table in (*tables, "rejects"):
            for partition in {canonical(r.partition): r.partition for r in receipts}.values():
                mine = [r for r in receipts if r.partition == partition]
                # Rejects of different stages share a table but never a partition.
                where = {**partition, "stage": mine[0].stage} if table == "rejects" else partition
                self.put(table, where, [r.tables[table] for r in mine if table in r.tables])

    def clear(self, base: Snapshot, stage: str, tables: tuple[str, ...], gone: Callable[[Partition], bool]) -> None:
        """What a stage left in partitions of `base` that are `gone` leaves the lake, its rejects as well."""
        for table in (*tables, "rejects"):
            for entry in base.entries(table):
                partition = {k: v for k, v in entry.partition.items() if k != "stage"}
                if entry.partition.get("stage", stage) == stage and gone(partition):
                    self.put(table, entry.partition, [])

    def partitions(self, table: str, base: Snapshot) -> list[Partition]:
        """The partitions of `table` that this change is about; all of `base` if it is about none."""
        if table in self.replace:
            return [json.loads(name) for name, entries in self.replace[table].items() if entries]
        return [json.loads(name) for name in dict.fromkeys(canonical(e.partition) for e in base.entries(table))]

    def apply(self, base: Snapshot) -> dict[str, list[Entry]]:
        """The tables after this change to `base`, each in a fixed order."""
        tables = {name: list(entries) for name, entries in base.tables.items()}
        for name, partitions in self.replace.items():
            kept = [e for e in tables.get(name, []) if canonical(e.partition) not in partitions]
            tables[name] = sorted(kept + [e for p in partitions.values() for e in p], key=lambda e: e.path)
        return {name: tables[name] for name in sorted(tables) if tables[name]}

    def view(self, base: Snapshot) -> Snapshot:
        """What a reader would see if this were published on top of `base`."""
        return base.model_copy(update={"tables": self.apply(base), "models": {**base.models, **self.models}})


def parse(kind: type[Model], data: bytes, where: str) -> Any:
    """A model from its JSON. Raises LakeError naming the file if it is damaged or of a newer format."""
    try:
        found = json.loads(data)
        version = found.get("format", FORMAT) if isinstance(found, dict) else FORMAT
        if isinstance(version, int) and version > FORMAT:
            raise LakeError(
                f"{where} was written by a newer toolbench (format {version}); upgrade toolbench to read it."
            )
        return kind.model_validate(found)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise LakeError(f"{where} is damaged ({reason}); restore it from a copy or remove it and run again.") from error
