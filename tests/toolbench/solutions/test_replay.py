"""Every solution again from its journal: equal to the byte, nobody asked, and a gap is named."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner
from workshop import Factory, publish

from toolbench.cli import app
from toolbench.errors import UsageError
from toolbench.lake import Lake, Spec
from toolbench.records import Solution
from toolbench.solutions.replay import replay


@pytest.fixture
def copied(factory: Factory, tmp_path: Path) -> Lake:
    """The factory's lake with the specifications that a flow would have stored."""
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    lake = Lake(str(tmp_path / "lake"))
    for spec in factory.solutions.specs:
        lake.put_spec(spec)
    return lake


def everything(lake: Lake) -> dict[str, bytes]:
    return {key: lake.store.read(key) for key, _ in lake.store.list("")}


def journal_of(lake: Lake, spec: Spec) -> Path:
    (key,) = [key for key, _ in lake.store.list(f"journals/{spec.digest}")]
    return Path(lake.store.path(key))


def rewritten(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    table = pq.read_table(path, partitioning=None)
    rows = [row for row in table.to_pylist() if keep(row)]
    assert len(rows) < table.num_rows
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)


def test_all_solutions_come_out_equal_and_no_connection_is_opened(
    factory: Factory, copied: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(copied)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a replay opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    report = replay(copied)
    rows = list(factory.lake.rows(factory.solutions.view, Solution))
    assert report.equal
    assert (len(report.shards), report.total("solutions"), report.total("asked")) == (
        len(factory.solutions.specs),
        len(rows),
        0,
    )
    assert report.total("replies") == sum(s.calls for s in rows)
    assert report.total("responses") == sum(step.api_id is not None for s in rows for step in s.steps)
    assert everything(copied) == before, "a replay writes nothing"


def test_a_gap_in_a_journal_is_named_with_its_shard_and_record(factory: Factory, copied: Lake) -> None:
    first, second = factory.solutions.specs[:2]
    record = first.records[0]
    rewritten(journal_of(copied, first), lambda row: row["record"] != record or row["kind"] != "chat")
    rewritten(journal_of(copied, second), lambda row: row["kind"] != "api")
    report = replay(copied)
    problems = {shard.spec: shard.problem for shard in report.shards if shard.problem}
    assert problems.keys() == {first.digest, second.digest}
    lacks = "The journal of shard {} ({}) lacks {} "
    assert problems[first.digest] == (
        lacks.format(first.digest, first.label, "a reply of the teacher") + f"for instruction {record}."
    )
    assert problems[second.digest].startswith(lacks.format(second.digest, second.label, "a response of")[:-1])
    assert report.total("asked") >= 2
    assert not report.equal


def test_a_published_file_that_was_changed_is_found(factory: Factory, copied: Lake) -> None:
    entry = factory.solutions.receipts[0].tables["solutions"]
    copied.store.write(entry.path, copied.store.read(entry.path) + b"x")
    (problem,) = [shard.problem for shard in replay(copied).shards if shard.problem]
    assert problem == f"{copied.store.url(entry.path)} comes out differently from what is published."


def test_a_shard_of_other_prompts_or_without_its_specification_is_said(factory: Factory, copied: Lake) -> None:
    first, second = factory.solutions.specs[:2]
    copied.store.write(
        f"specs/solutions/{first.digest}.json",
        first.model_copy(update={"params": {**first.params, "prompts": "0"}}).model_dump_json().encode(),
    )
    copied.store.delete([f"specs/solutions/{second.digest}.json"])
    problems = {shard.spec: shard.problem for shard in replay(copied).shards if shard.problem}
    assert "other prompts than this toolbench has" in problems[first.digest]
    assert "is missing although it is referred to" in problems[second.digest]


def test_imported_answers_have_nothing_to_replay(copied: Lake) -> None:
    from test_answers import document
    from workshop import an_api

    from toolbench.solutions.answer_files import TABLES, AnswerFile, write

    api = an_api("Weather", "rain", function="rain_for_weather")
    publish(copied, write(copied, [AnswerFile("a.json", document())], "x", {"rain_for_weather": api}.get), TABLES)
    report = replay(copied)
    assert (report.equal, report.imported) == (True, 1)


def test_the_command_says_how_it_came_out(factory: Factory, copied: Lake) -> None:
    done = CliRunner().invoke(app, ["annotate", "--replay", "--lake", copied.uri])
    assert done.exit_code == 0, done.output
    shards = len(factory.solutions.specs)
    assert f" 0 asked, {shards:,} equal, 0 different" in done.output.splitlines()[-1]
    rewritten(journal_of(copied, factory.solutions.specs[0]), lambda row: row["kind"] != "chat")
    done = CliRunner().invoke(app, ["annotate", "--replay", "--lake", copied.uri])
    assert done.exit_code == 1
    assert f"{shards - 1:,} equal, 1 different" in done.output
    assert "lacks a reply of the teacher for instruction" in done.output


def test_nothing_but_the_lake_can_be_given(copied: Lake) -> None:
    done = CliRunner().invoke(app, ["annotate", "--replay", "--lake", copied.uri, "--model", "m"])
    assert isinstance(done.exception, UsageError)
    assert "only --lake can be given" in str(done.exception)
