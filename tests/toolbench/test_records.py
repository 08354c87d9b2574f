import dataclasses
import io
import types
import typing
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolbench.records import RECORDS, Api, Parameter, Record, Reject, Response, Run
from toolbench.schemas import from_table, schema_of, to_table


def _values(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [a for a in arguments if a is not type(None)]
        return st.none() | _values(inner)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(_values(arguments[0]), max_size=3)
    if dataclasses.is_dataclass(hint):
        return _rows(hint)
    return {
        str: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False),
        bool: st.booleans(),
    }[hint]


def _rows(cls: Any) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{name: _values(hint) for name, hint in _fields(cls).items()})


def _fields(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {item.name: hints[item.name] for item in dataclasses.fields(cls)}


@pytest.mark.parametrize("record", RECORDS.values(), ids=list(RECORDS))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_rows_come_back_from_parquet_as_they_were(record: type[Record], data: st.DataObject) -> None:
    rows = data.draw(st.lists(_rows(record), max_size=3))
    buffer = io.BytesIO()
    pq.write_table(to_table(record, rows), buffer)
    assert list(from_table(record, pq.read_table(io.BytesIO(buffer.getvalue())))) == rows


@pytest.mark.parametrize("record", RECORDS.values(), ids=list(RECORDS))
def test_a_schema_names_its_record_and_version_and_has_every_field(record: type[Record]) -> None:
    schema = schema_of(record)
    assert schema.metadata == {
        b"toolbench.record": record.__name__.encode(),
        b"toolbench.version": str(record.VERSION).encode(),
    }
    assert schema.names == list(_fields(record))
    for name, hint in _fields(record).items():
        assert schema.field(name).nullable == (type(None) in typing.get_args(hint))


def test_a_null_where_none_may_be_is_refused() -> None:
    reject = Reject(id="1", stage="s", record_id="r", reason=typing.cast(str, None), detail="")
    with pytest.raises((pa.ArrowInvalid, ValueError)):
        pq.write_table(to_table(Reject, [reject]), io.BytesIO())


@pytest.mark.parametrize("record", RECORDS.values(), ids=list(RECORDS))
def test_an_older_file_that_lacks_columns_with_a_default_reads(record: type[Record]) -> None:
    required = [f.name for f in dataclasses.fields(typing.cast(Any, record)) if f.default is f.default_factory]
    row = _plain_row(record)
    (read,) = from_table(record, to_table(record, [row]).select(required))
    for item in dataclasses.fields(typing.cast(Any, record)):
        if item.name in required:
            assert getattr(read, item.name) == getattr(row, item.name)
        else:
            missing = item.default_factory is dataclasses.MISSING
            assert getattr(read, item.name) == (item.default if missing else item.default_factory())


def _plain_row(cls: Any) -> Any:
    """A row whose every value differs from any default."""

    def value(hint: Any) -> Any:
        arguments = typing.get_args(hint)
        if typing.get_origin(hint) is Literal:
            return arguments[-1]
        if typing.get_origin(hint) is list:
            return [value(arguments[0])]
        if arguments:
            return value(arguments[0])
        return _plain_row(hint) if dataclasses.is_dataclass(hint) else {str: "z", int: 7, float: 0.5, bool: True}[hint]

    return cls(**{name: value(hint) for name, hint in _fields(cls).items()})


def test_an_older_nested_record_reads() -> None:
    old = pa.struct(
        [pa.field(n, pa.string()) for n in ("name", "shown_as", "type")] + [pa.field("required", pa.bool_())]
    )
    row = dataclasses.asdict(_plain_row(Api)) | {
        "parameters": [{"name": "q", "shown_as": "q", "type": "string", "required": True}]
    }
    schema = schema_of(Api)
    at = schema.get_field_index("parameters")
    table = pa.Table.from_pylist([row], schema=schema.set(at, pa.field("parameters", pa.list_(old))))
    (api,) = from_table(Api, table)
    assert api.parameters == [Parameter(name="q", shown_as="q", type="string", required=True)]


def test_only_runs_carry_times() -> None:
    """Tables are byte-identical from run to run; clocks belong to the journal and to `runs`."""
    for record in RECORDS.values():
        timed = [n for n in _fields(record) if n.endswith("_at") or n in ("seconds", "latency", "time")]
        assert bool(timed) == (record is Run)


def test_the_envelope_is_toolbenchs() -> None:
    assert Response(error="é", response={"a": [1]}).envelope == '{"error": "é", "response": {"a": [1]}}'
