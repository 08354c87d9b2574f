"""Records as arrow tables: one schema for each record, derived from its dataclass."""

import dataclasses
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Literal, TypeVar

import pyarrow as pa

from toolbench.records import Record

R = TypeVar("R", bound=Record)


def _arrow_type(hint: Any) -> tuple[pa.DataType, bool]:
    """The arrow type of a field's annotation, and whether it may be null."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [a for a in arguments if a is not type(None)]
        return _arrow_type(inner)[0], True
    if origin is Literal:
        return pa.string(), False
    if origin is list:
        inner_type, nullable = _arrow_type(arguments[0])
        return pa.list_(pa.field("item", inner_type, nullable=nullable)), False
    if dataclasses.is_dataclass(hint):
        return pa.struct(_arrow_fields(hint)), False  # type: ignore[arg-type]
    return {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}[hint], False


def _arrow_fields(cls: type) -> list[pa.Field]:
    hints = typing.get_type_hints(cls)
    out = []
    for item in dataclasses.fields(cls):
        kind, nullable = _arrow_type(hints[item.name])
        out.append(pa.field(item.name, kind, nullable=nullable))
    return out


def schema_of(record: type[Record]) -> pa.Schema:
    """The table's pyarrow schema; its metadata carry the record's name and version."""
    key = (record, record.VERSION)
    if key not in _SCHEMAS:
        _SCHEMAS[key] = _schema(record)
    return _SCHEMAS[key]


_SCHEMAS: dict[tuple[type[Record], int], pa.Schema] = {}


def _schema(record: type[Record]) -> pa.Schema:
    metadata = {"toolbench.record": record.__name__, "toolbench.version": str(record.VERSION)}
    return pa.schema(_arrow_fields(record), metadata=metadata)


def to_table(record: type[R], rows: Iterable[R]) -> pa.Table:
    """Rows as an arrow table of exactly `schema_of(record)`."""
    return pa.Table.from_pylist([as_dict(r) for r in rows], schema=schema_of(record))


def as_dict(row: Any) -> dict[str, Any]:
    """A record as plain values. Lists and texts are the record's own: `dataclasses.asdict`, which copies all of them,
    takes several times as long."""
    kind: type = type(row)
    builders = _builder(kind)
    out = {}
    for name, nested in builders.items():
        value = getattr(row, name)
        out[name] = [as_dict(item) for item in value] if nested else value
    return out


@cache
def _builder(cls: type) -> dict[str, Any]:
    """Per field: None to pass the value through, or how to rebuild a nested dataclass."""
    hints = typing.get_type_hints(cls)
    builders: dict[str, Any] = {}
    for item in dataclasses.fields(cls):
        arguments = typing.get_args(hints[item.name])
        nested = arguments[0] if typing.get_origin(hints[item.name]) is list else None
        builders[item.name] = nested if dataclasses.is_dataclass(nested) else None
    return builders


def _build(cls: type, row: Mapping[str, Any]) -> Any:
    builders = _builder(cls)
    return cls(**{k: [_build(builders[k], v) for v in row[k]] if builders[k] else row[k] for k in builders if k in row})


def from_table(record: type[R], table: pa.Table) -> Iterator[R]:
    """The rows of an arrow table as records; a column that was added later and the file lacks takes its default."""
    for row in table.to_pylist():
        yield _build(record, row)
