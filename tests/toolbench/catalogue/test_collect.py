"""A catalogue in the lake: a shard a category, untouched where nothing changed."""

import json
from pathlib import Path
from typing import Any

import pytest
from workshop import publish, settings_for, written

from toolbench import catalogue
from toolbench.catalogue.collect import _address
from toolbench.errors import SourceError, UsageError
from toolbench.lake import Draft, Lake
from toolbench.records import Api, Reject, Tool
from toolbench.settings import HostSettings, Settings


@pytest.fixture
def toolenv(tmp_path: Path, tool_document: dict[str, Any]) -> Path:
    """A toolenv folder: two good tools in two categories, and a broken file."""
    for category, title in (("Weather", "Sky Watch"), ("Food", "Kitchen")):
        folder = tmp_path / "toolenv" / category
        folder.mkdir(parents=True)
        (folder / "tool.json").write_text(json.dumps({**tool_document, "tool_name": title, "title": title}))
    (tmp_path / "toolenv" / "Food" / "broken.json").write_text("{")
    return tmp_path / "toolenv"


def settings_of(lake: Lake, source: Path | str, **wanted: Any) -> Settings:
    return settings_for(lake, "http://127.0.0.1:9", catalogue={"source": str(source), "tool_holdout": 0, **wanted})


def test_every_category_is_a_shard_and_what_is_broken_is_a_row(lake: Lake, toolenv: Path) -> None:
    receipts, reused = catalogue.collect(lake, settings_of(lake, toolenv))
    assert reused == 0
    assert [r.partition for r in receipts] == [{"source": "toolenv", "category": c} for c in ("Food", "Weather")]
    for receipt in receipts:
        receipt.check("apis")
    assert [(r.taken_in, r.passed_on, r.rejected) for r in receipts] == [(3, 2, 1), (2, 2, 0)]
    view = publish(lake, receipts, catalogue.TABLES)
    rows = [*lake.rows(view, Tool), *lake.rows(view, Api), *lake.rows(view, Reject)]
    assert {row.spec for row in rows} == {r.spec for r in receipts}


def test_only_what_changed_is_written_again(lake: Lake, toolenv: Path, tool_document: dict[str, Any]) -> None:
    first, _ = catalogue.collect(lake, settings_of(lake, toolenv))
    before = written(lake)
    again, reused = catalogue.collect(lake, settings_of(lake, toolenv))
    assert (again, reused) == (first, 2)
    assert written(lake) == before
    other = {**tool_document, "tool_name": "Kitchen", "title": "Kitchen", "tool_description": "New"}
    (toolenv / "Food" / "tool.json").write_text(json.dumps(other))
    changed, reused = catalogue.collect(lake, settings_of(lake, toolenv))
    assert reused == 1
    assert [a.spec == b.spec for a, b in zip(first, changed, strict=True)] == [False, True]


def test_hold_out_and_categories_are_as_settings_say(lake: Lake, toolenv: Path) -> None:
    settings = settings_of(lake, toolenv, categories=("Food",), held_out_categories=("Food",))
    receipts, _ = catalogue.collect(lake, settings)
    view = publish(lake, receipts, catalogue.TABLES)
    assert {a.category for a in lake.rows(view, Api)} == {"Food"}
    assert {row.split for row in (*lake.rows(view, Api), *lake.rows(view, Tool))} == {"category"}


def test_what_is_wrong_is_said(lake: Lake, toolenv: Path) -> None:
    with pytest.raises(UsageError, match="Fish"):
        catalogue.collect(lake, settings_of(lake, toolenv, categories=("Fish",)))
    with pytest.raises(SourceError, match=r"nowhere does not exist"):
        catalogue.collect(lake, settings_of(lake, toolenv / "nowhere"))
    assert written(lake) == {}


@pytest.mark.parametrize(
    ("source", "label"),
    [("a/b/toolenv/", "toolenv"), ("toolenv.tar.gz", "toolenv.tar.gz"), ("http://h:80/i.json?x=1", "h/i.json")],
)
def test_a_label_is_the_same_wherever_the_source_lies(lake: Lake, source: str, label: str) -> None:
    assert catalogue.source_label(settings_of(lake, source)) == label


def test_a_host_that_stands_for_another_is_read_there() -> None:
    hosts = {"hub.test": HostSettings(connect="http://127.0.0.1:8/"), "own.test": HostSettings()}
    assert _address("http://hub.test/index.json?v=2", hosts) == "http://127.0.0.1:8/index.json?v=2"
    for same in ("http://own.test/i.json", "http://else.test/i.json", "folder", "hub.test/i.json"):
        assert _address(same, hosts) == same


def test_the_hub_s_documents_are_read_over_http_under_its_own_name(lake: Lake, hub_server: Any) -> None:
    from toolbench.demo import HOST

    settings = settings_for(
        lake, "http://127.0.0.1:9", hub_server.url, catalogue={"source": f"http://{HOST}/index.json"}
    )
    receipts, _ = catalogue.collect(lake, settings)
    view = publish(lake, receipts, catalogue.TABLES)
    apis = list(lake.rows(view, Api))
    assert len(apis) > 90
    assert all(a.url.startswith(f"http://{HOST}/") for a in apis), "no shard may depend on the port"
    assert {r.partition["source"] for r in receipts} == {f"{HOST}/index.json"}


def test_an_inferred_category_stays_when_the_words_change(lake: Lake, tmp_path: Path) -> None:
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Skies", "description": "Weather forecasts: rain, wind, temperature."},
        "servers": [{"url": "https://skies.test"}],
        "paths": {"/now": {"get": {"operationId": "now"}}},
    }
    source = tmp_path / "skies.json"
    settings = Settings().with_(catalogue={"source": str(source)})

    def categories() -> list[str]:
        source.write_text(json.dumps(document))
        receipts, _ = catalogue.collect(lake, settings)
        draft = Draft()
        catalogue.settle(lake, draft, settings, receipts)
        draft.add(receipts, catalogue.TABLES)
        snapshot = lake.publish(draft, "test")
        return [t.category for t in lake.rows(snapshot, Tool) if t.category_inferred]

    assert categories() == ["Weather"]
    document["info"]["description"] = "Songs, albums, artists, playlists and lyrics of music."  # type: ignore[index]
    assert categories() == ["Weather"], "an id begins with its category and must not move"
