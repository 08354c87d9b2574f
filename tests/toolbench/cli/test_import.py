"""`toolbench import` as a user meets it."""

import json
from pathlib import Path

import pytest
from test_cli import said, toolbench

from toolbench.lake import Lake
from toolbench.records import Api, Reject, Run

OPENAPI = {
    "openapi": "3.1.0",
    "info": {"title": "Tides", "x-category": "Weather"},
    "servers": [{"url": "https://tides.test"}],
    "paths": {"/high": {"get": {"operationId": "highTide"}}, "/low": {"get": {"operationId": "lowTide"}, "post": 7}},
}


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "tides.json").write_text(json.dumps(OPENAPI))
    (folder / "broken.json").write_text('{\n "openapi": ,}')
    return folder


def test_it_says_what_came_in_and_why_the_rest_did_not(documents: Path, tmp_path: Path) -> None:
    done = toolbench(tmp_path, "import", str(documents))
    assert done.code == 0, done.err
    row = next(line.split() for line in done.out.splitlines() if line.startswith("documents "))
    assert row[1:8] == ["1", "2", "2", "2", "0", "0", "0"], "tools, APIs, rejected, added, changed, removed, unchanged"
    assert "rejected, wrong_type: 1\n  tides.json#/paths/~1low/post is no object." in done.out
    assert "rejected, invalid_json: 1\n  broken.json is not JSON at line 2 column 13" in done.out
    assert "snapshot 1, 2 APIs" in done.out
    lake = Lake(str(tmp_path / "lake"))
    assert [a.id for a in lake.rows(lake.snapshot(), Api)] == ["Weather/tides/high_tide", "Weather/tides/low_tide"]
    assert len(list(lake.rows(lake.snapshot(), Reject))) == 2
    (run,) = lake.rows(lake.snapshot(), Run)
    assert (run.flow, run.taken_in, run.passed_on, run.rejected) == ("import", 4, 2, 2)
    assert json.loads(run.outcomes) == {"added": 2, "changed": 0, "removed": 0, "unchanged": 0}


def test_a_second_import_changes_what_changed_and_nothing_else(documents: Path, tmp_path: Path) -> None:
    toolbench(tmp_path, "import", str(documents))
    again = toolbench(tmp_path, "import", str(documents))
    assert again.code == 0
    assert "snapshot 1, 2 APIs" in again.out, "nothing new was published"
    changed = json.loads(json.dumps(OPENAPI))
    changed["paths"]["/high"]["get"]["description"] = "When the water is highest."
    del changed["paths"]["/low"]
    changed["paths"]["/next"] = {"get": {"operationId": "nextTide"}}
    (documents / "tides.json").write_text(json.dumps(changed))
    third = toolbench(tmp_path, "import", str(documents))
    row = next(line.split() for line in third.out.splitlines() if line.startswith("documents "))
    assert row[1:8] == ["1", "2", "1", "1", "1", "1", "0"]
    diff = toolbench(tmp_path, "lake", "diff")
    assert diff.out.splitlines() == [
        "+ Weather/tides/next_tide",
        "~ Weather/tides/high_tide",
        "- Weather/tides/low_tide",
        "snapshot 1 to 2: 1 added, 1 changed, 1 removed, 0 unchanged",
    ]
    since = toolbench(tmp_path, "lake", "diff", "--since", "2")
    assert since.out.splitlines() == ["snapshot 2 to 2: 0 added, 0 changed, 0 removed, 2 unchanged"]


def test_several_sources_are_published_at_once(documents: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps({**OPENAPI, "info": {"title": "Moon"}}))
    done = toolbench(tmp_path, "import", str(documents), str(alone), "--category", "Astronomy")
    assert done.code == 0, done.err
    assert "snapshot 1, 4 APIs" in done.out
    lake = Lake(str(tmp_path / "lake"))
    assert {a.category for a in lake.rows(lake.snapshot(), Api)} == {"Weather", "Astronomy"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.json",), "The catalogue source nowhere.json does not exist"),
        (("documents", "--categories", "Wether"), "has no category 'Wether': did you mean Weather"),
        (("documents/broken.json",), "is not JSON at line 2 column 13"),
    ],
)
def test_nothing_is_written_for_a_source_that_cannot_be_read(
    documents: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    ended = toolbench(tmp_path, "import", *arguments)
    assert message in said(ended, ended.code)
    assert ended.code != 0
    assert Lake(str(tmp_path / "lake")).numbers() == []
