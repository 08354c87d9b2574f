"""A catalogue read into the lake: one shard a category, untouched where nothing changed."""

import dataclasses
import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from toolbench.catalogue.assemble import Catalogue
from toolbench.catalogue.changes import Changes, changes
from toolbench.catalogue.infer import identity_of
from toolbench.catalogue.mcp import SCHEME
from toolbench.catalogue.mcp_commands import STDIO, label
from toolbench.catalogue.reading import read
from toolbench.catalogue.splits import Holdout
from toolbench.digests import digest
from toolbench.lake import Draft, Lake, Partition, Receipt, Spec
from toolbench.records import Api, Reject, Tool
from toolbench.schemas import as_dict, from_table
from toolbench.settings import HostSettings, Settings

STAGE = "catalogue"
TABLES = ("tools", "apis")
VERSION = 2


def collect(lake: Lake, settings: Settings, category: str = "") -> tuple[list[Receipt], int]:
    """Read the configured source; gives one receipt a category, and how many of them were there already.

    `category` is for sources that name none of their own. Raises SourceError, UsageError as `read` does.
    """
    wanted = settings.catalogue
    with _without_garbage_collection():
        catalogue = read(
            _address(wanted.source, settings.apis.hosts),
            categories=list(wanted.categories) or None,
            category=category or None,
            holdout=holdout_of(settings),
            headers=_headers(settings),
            known=_inferred(lake, source_label(settings)),
        )
        return write(lake, catalogue, {"source": source_label(settings)})


def _headers(settings: Settings) -> dict[str, str]:
    """What a source that is a URL asks for: the `Authorization` that settings have for its host."""
    host = urlsplit(settings.catalogue.source).netloc if "://" in settings.catalogue.source else ""
    secrets = settings.apis.secrets.get(host, {})
    return {name: value.get_secret_value() for name, value in secrets.items() if name.lower() == "authorization"}


def _inferred(lake: Lake, source: str) -> dict[str, str]:
    """The categories that were inferred for a source's tools before: they are kept, for ids begin with them."""
    found: dict[str, str] = {}
    for entry in lake.snapshot().entries("tools"):
        table = lake.table(entry, Tool) if entry.partition.get("source") == source else None
        if table is not None and "category_inferred" in table.column_names:  # an older lake has no such column
            inferred = from_table(Tool, table.filter(table["category_inferred"]))
            found |= {identity_of(tool): tool.category for tool in inferred}
    return found


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A crawl is millions of small objects without a cycle: looking for cycles takes a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def settle(lake: Lake, draft: Draft, settings: Settings, receipts: Sequence[Receipt]) -> Changes:
    """Bring a draft up to date with the shards of the configured source: what the source no longer has leaves the lake,
    unless only some categories were read. Gives what that changes since the last snapshot."""
    base, source = lake.snapshot(), source_label(settings)
    read = [r.partition for r in receipts]
    everything = not settings.catalogue.categories

    def gone(partition: Partition) -> bool:
        return everything and partition.get("source") == source and partition not in read

    draft.clear(base, STAGE, TABLES, gone)
    before = [e for e in base.entries("apis") if e.partition in read or gone(e.partition)]
    return changes(lake, before, [r.tables["apis"] for r in receipts if "apis" in r.tables])


def holdout_of(settings: Settings) -> Holdout:
    """What settings hold out of training."""
    wanted = settings.catalogue
    return Holdout(wanted.tool_holdout, wanted.category_holdout, wanted.held_out_categories)


def source_label(settings: Settings) -> str:
    """A short name for the source, the same wherever it lies: the file's name, or the URL's host and path."""
    source = settings.catalogue.source
    if source.startswith((STDIO, SCHEME)):
        return label(source)
    if "://" in source:
        parts = urlsplit(source)
        return f"{parts.hostname or ''}{parts.path}"
    return source.rstrip("/").rpartition("/")[2] or "catalogue"


def _address(source: str, hosts: Mapping[str, HostSettings]) -> str:
    """Where to read from: a URL whose host stands for another address is read there."""
    if "://" not in source:
        return source
    parts = urlsplit(source)
    base = hosts[parts.netloc].connect if parts.netloc in hosts else ""
    return urlunsplit(("", "", base.rstrip("/") + parts.path, parts.query, "")) if base else source


def write(lake: Lake, catalogue: Catalogue, partition: Partition) -> tuple[list[Receipt], int]:
    """Write a catalogue's shards, one a category, whose name is added to `partition`."""
    receipts, reused = [], 0
    names = sorted({a.category for a in catalogue.apis} | {r.category for r in catalogue.rejects})
    for name in names:
        tools = [t for t in catalogue.tools if t.category == name]
        apis = [a for a in catalogue.apis if a.category == name]
        rejects = [r for r in catalogue.rejects if r.category == name]
        spec = Spec(
            stage=STAGE,
            label=name,
            partition={**partition, "category": name},
            records=[a.id for a in apis],
            content=digest([_contents(tools), _contents(apis), [as_dict(row) for row in rejects]]),
            params={"version": VERSION},
        )
        receipt = lake.receipt(spec.digest)
        if receipt:
            reused += 1
        else:
            receipt = _finish(lake, spec, tools, apis, rejects)
        receipts.append(receipt)
    return receipts, reused


def _contents(rows: Sequence[Tool] | Sequence[Api]) -> list[list[Any]]:
    """All that decides the rows: their digests, and what those leave out because other tools decide it."""
    return [[row.id, row.digest, row.split, row.collections] for row in rows]


def _finish(lake: Lake, spec: Spec, tools: Sequence[Tool], apis: Sequence[Api], rejects: Sequence[Reject]) -> Receipt:
    name = spec.digest
    return lake.finish(
        spec,
        {
            Tool: [dataclasses.replace(t, spec=name) for t in tools],
            Api: [dataclasses.replace(a, spec=name) for a in apis],
            Reject: [dataclasses.replace(r, spec=name) for r in rejects],
        },
        taken_in=len(apis) + len(rejects),
        passed_on=len(apis),
    )
