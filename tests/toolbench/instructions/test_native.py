"""ToolBench's instruction files: every entry becomes a row or a reject."""

import json
from pathlib import Path
from typing import Any

import pytest
from workshop import an_api, publish

from toolbench import catalogue
from toolbench.errors import SourceError
from toolbench.instructions import TABLES, native
from toolbench.lake import Lake
from toolbench.records import Api, Instruction, Reject

FORECAST, TIDE = an_api("Sky", "Forecast"), an_api("Sea", "Tide")
WHERE = {"instructions": "G2_query"}


def find(category: str, tool: str, api: str) -> Api | None:
    """As `Lookup` does: spelling is forgiven."""
    return next((a for a in (FORECAST, TIDE) if (a.tool.lower(), a.name.lower()) == (tool.lower(), api.lower())), None)


def entry(number: int = 1, query: Any = "Rain in Oslo?", **fields: Any) -> dict[str, Any]:
    documents = [
        {"category_name": "Weather", "tool_name": tool, "api_name": api}
        for tool, api in (("sky", "forecast"), ("Sea", "Tide"), ("Gone", "Api"))
    ]
    return {
        "query": query, "query_id": number, "api_list": documents, "relevant APIs": [["sky", "forecast"]], **fields
    }  # fmt: skip


def rows_of(
    lake: Lake, entries: list[dict[str, Any]], label: str = "G2_query"
) -> tuple[list[Instruction], list[Reject]]:
    receipt = native.write(lake, entries, label, find, WHERE)
    receipt.check("instructions")
    view = publish(lake, [receipt], TABLES)
    rows, rejects = list(lake.rows(view, Instruction)), list(lake.rows(view, Reject))
    assert {row.spec for row in (*rows, *rejects)} == {receipt.spec}
    return rows, rejects


def test_an_entry_becomes_a_held_out_instruction(lake: Lake) -> None:
    (row,), rejects = rows_of(lake, [entry()])
    assert not rejects
    assert (row.text, row.group, row.category, row.split) == ("Rain in Oslo?", "I2", "Weather", "instruction")
    assert row.candidates == [FORECAST.id, TIDE.id]
    assert row.relevant == [FORECAST.id]  # named as the file spells it, not as the catalogue does


@pytest.mark.parametrize(("label", "group"), [("G1_query", "I1"), ("G3_x", "I3"), ("mine", "I2")])
def test_the_group_is_the_file_s_or_as_far_as_the_apis_reach(lake: Lake, label: str, group: str) -> None:
    ((row,), _) = rows_of(lake, [entry()], label)
    assert row.group == group


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (entry(query=None), "malformed"),
        (entry(query=["", "x"]), "malformed"),
        (entry(query="  "), "malformed"),
        (entry(api_list=[]), "no_candidates"),
        (entry(api_list=5), "no_candidates"),
        (entry(api_list=["x", {"category_name": 1, "tool_name": "Sky", "api_name": "Forecast"}]), "no_candidates"),
        (entry(1), "duplicate"),
    ],
)
def test_what_cannot_be_used_is_a_reject(lake: Lake, bad: dict[str, Any], reason: str) -> None:
    rows, rejects = rows_of(lake, [entry(1), bad, entry(2)])
    assert len(rows) == 2
    assert [r.reason for r in rejects] == [reason]
    assert len({row.id for row in rows}) == 2


@pytest.mark.parametrize("named", [None, 5, ["Sky"], [["Sky"]], [[]], [["Sky", "Forecast", "more"], 3], {"a": 1}])
def test_strange_relevant_apis_are_no_crash(lake: Lake, named: Any) -> None:
    ((row,), _) = rows_of(lake, [entry(**{"relevant APIs": named})])
    assert set(row.relevant) <= {FORECAST.id}


def test_a_query_that_is_a_list_of_one_is_read(lake: Lake) -> None:
    ((row,), _) = rows_of(lake, [entry(query=["Rain in Oslo?"])])
    assert row.text == "Rain in Oslo?"


def test_the_same_file_is_the_same_shard(lake: Lake) -> None:
    first = native.write(lake, [entry()], "G1", find, WHERE)
    assert native.write(lake, [entry()], "G1", find, WHERE) == first
    assert native.write(lake, [entry(2)], "G1", find, WHERE).spec != first.spec


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not valid JSON"), ("{}", "no list of objects"), ('[{"x": 1}]', "no list of objects"),
     ('[{"query": NaN}]', "NaN is no JSON number"), ("[" * 100_000, "not valid JSON")],
)  # fmt: skip
def test_a_file_that_is_none_is_said(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "G1.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=message) as raised:
        native.read(str(path))
    assert str(path) in str(raised.value)


def test_a_missing_file_is_said_and_limits_hold(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        native.read(str(tmp_path / "G1.json"))
    path = tmp_path / "G1.json"
    path.write_text(json.dumps([entry(1), entry(2)]))
    assert [e["query_id"] for e in native.read(str(path), 1)] == [1]


def test_real_files_lose_nothing(lake: Lake, data_dir: Path) -> None:
    paths = sorted(data_dir.rglob("G*_*.json"))
    if not paths:
        pytest.skip(f"no instruction file of ToolBench's in {data_dir}")
    entries = native.read(str(paths[0]), 50)
    lookup = catalogue.Lookup(catalogue.apis_of_instructions(entries).apis)
    receipt = native.write(lake, entries, paths[0].stem, lookup.find, WHERE)
    receipt.check("instructions")
    rows = list(lake.rows(publish(lake, [receipt], TABLES), Instruction))
    assert rows
    assert receipt.taken_in == len(entries)
    assert all(row.relevant for row in rows), "a relevant API of a real file was not recognised"
