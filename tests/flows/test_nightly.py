"""nightly-refresh and add-category: the whole way, what survives a failure, and who may publish at the same time."""

import json
import shutil
import socket
import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from workshop import Server

from flows.annotate import annotate_solutions
from flows.collect import collect_apis
from flows.dataset import build_dataset
from flows.generate import generate_instructions
from flows.nightly import add_category, nightly_refresh
from flows.stage import Done, publish
from toolbench.errors import TeacherError
from toolbench.lake import Draft, Entry, Lake
from toolbench.records import RECORDS, Api, Run

GROUPS = ["I1", "I2", "I3"]
UNUSED = {"verdicts", "response_keys", "answered", "votes", "evaluations", "apibench_answers"}
"""Tables of what a night does not do unless it is asked to: screening, evaluating; and no response is too long."""
WHOLE: dict[str, Any] = {
    "groups": GROUPS,
    "categories": None,
    "instructions": 30,
    "more": {"retriever.max_tokens": 32},
}


@pytest.fixture(scope="module")
def closed_port() -> str:
    """An address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@dataclass
class Nights:
    """A lake after a night without a teacher and a good one."""

    lake: Lake
    failure: BaseException
    numbers_after_failure: list[int]
    done: Done

    def copy(self, folder: Path) -> Lake:
        """The same lake in a folder that a test may change."""
        shutil.copytree(self.lake.uri, folder / "lake")
        return Lake(str(folder / "lake"))


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, options: Callable[..., Any], closed_port: str) -> Nights:
    lake = Lake(str(tmp_path_factory.mktemp("nights") / "lake"))
    with pytest.raises(TeacherError) as failed:
        nightly_refresh(options(lake.uri, **WHOLE, base_url=closed_port))
    numbers = lake.numbers()
    return Nights(lake, failed.value, numbers, nightly_refresh(options(lake.uri, **WHOLE)))


def test_one_night_fills_every_table_and_publishes_once(nights: Nights) -> None:
    view = nights.lake.snapshot()
    assert nights.lake.numbers() == [1]
    assert (nights.done.snapshot, view.number, view.flow) == (1, 1, "nightly-refresh")
    assert {name for name in RECORDS if view.rows(name)} == set(RECORDS) - UNUSED
    assert {e.partition["group"] for e in view.entries("conversations")} <= set(GROUPS)
    assert {e.partition["group"] for e in view.entries("instructions")} == set(GROUPS)
    assert view.models["retriever"].metrics["train_pairs"] > 0
    stages = [run.stage for run in nights.lake.rows(view, Run)]
    assert stages == ["catalogue", "compression", "instructions", "solutions", "judgments", "dataset", "retriever"]


def test_a_night_without_a_teacher_ends_in_one_sentence_and_publishes_nothing(nights: Nights, closed_port: str) -> None:
    assert nights.numbers_after_failure == []
    assert closed_port in str(nights.failure)
    assert "\n" not in str(nights.failure)


def test_the_next_night_goes_on_from_what_was_done(nights: Nights) -> None:
    runs = {run.stage: run for run in nights.lake.rows(nights.lake.snapshot(), Run)}
    assert runs["catalogue"].shards_reused == runs["catalogue"].shards > 0
    assert runs["instructions"].shards_reused == 0


def test_a_failing_night_leaves_the_last_snapshot_and_the_same_night_again_changes_nothing(
    nights: Nights, tmp_path: Path, options: Callable[..., Any], honest_teacher: Server, closed_port: str
) -> None:
    lake = nights.copy(tmp_path)
    before = lake.snapshot()
    with pytest.raises(TeacherError):
        nightly_refresh(options(lake.uri, **{**WHOLE, "instructions": 45}, base_url=closed_port))
    assert lake.snapshot() == before
    honest_teacher.reset()
    assert nightly_refresh(options(lake.uri, **WHOLE)).snapshot == before.number
    assert honest_teacher.asked() == 0
    assert lake.snapshot() == before


# add-category


def _harbour(folder: Path) -> Path:
    """OpenAPI documents of two tools with two APIs each, of a category that the lake does not have."""
    folder.mkdir(parents=True)
    for tool, things in {"Tides": ("high_water", "low_water"), "Berths": ("free_berth", "berth_fee")}.items():
        paths = {
            f"/{thing}": {
                "get": {
                    "operationId": thing,
                    "summary": f"The {thing.replace('_', ' ')} of a harbour",
                    "parameters": [
                        {
                            "name": "harbour", "in": "query", "required": True, "description": "The harbour's name",
                            "schema": {"type": "string", "example": "Bergen"},
                        }
                    ],
                    "responses": {"200": {"description": "The answer", "content": {"application/json": {"schema": {
                        "type": "object", "properties": {"value": {"type": "number"}},
                    }}}}},
                }
            }
            for thing in things
        }  # fmt: skip
        document = {
            "openapi": "3.0.3",
            "info": {"title": tool, "version": "1", "description": f"{tool} of harbours"},
            "servers": [{"url": f"https://{tool.lower()}.example.org"}],
            "paths": paths,
        }
        (folder / f"{tool.lower()}.json").write_text(json.dumps(document))
    return folder


def _of_others(lake: Lake, category: str) -> dict[str, list[Entry]]:
    """Every published file that is not of a category, or of the runs."""
    tables = lake.snapshot().tables
    return {
        name: [e for e in entries if e.partition.get("category") != category]
        for name, entries in tables.items()
        if name != "runs"
    }


def test_a_category_is_added_and_the_rest_of_the_lake_stays_as_it_is(
    nights: Nights, tmp_path: Path, options: Callable[..., Any], honest_teacher: Server
) -> None:
    lake, source = nights.copy(tmp_path), _harbour(tmp_path / "harbour")
    before, others = lake.snapshot(), _of_others(lake, "Harbour")
    # No tool of so small a category is held out; the catalogue and the categories of the options are another's.
    chosen = options(
        lake.uri, {"catalogue.tool_holdout": 0, "catalogue.category_holdout": 0}, groups=GROUPS, instructions=10
    )
    done = add_category("Harbour", str(source), chosen)
    after = lake.snapshot()
    assert (done.snapshot, after.number, after.flow) == (before.number + 1, before.number + 1, "add-category")
    assert _of_others(lake, "Harbour") == others
    assert after.models == before.models
    mine = [e for entries in after.tables.values() for e in entries if e.partition.get("category") == "Harbour"]
    assert {e.path.split("/")[1] for e in mine} >= {"tools", "apis", "instructions", "solutions", "judgments"}
    assert {e.partition["group"] for e in mine if "group" in e.partition} == {"I1", "I2"}
    assert {a.tool for a in lake.rows(after, Api) if a.category == "Harbour"} == {"Tides", "Berths"}

    honest_teacher.reset()
    assert add_category("Harbour", str(source), chosen).snapshot == after.number
    assert lake.snapshot() == after
    assert honest_teacher.asked() == 0


def test_its_own_source_wins_over_one_among_the_other_settings(tmp_path: Path, options: Callable[..., Any]) -> None:
    """The command line gives all settings by their dotted names."""
    lake = Lake(str(tmp_path / "lake"))
    more = {"catalogue.source": str(tmp_path / "nowhere"), "catalogue.categories": ["Other"]}
    add_category("Harbour", str(_harbour(tmp_path / "harbour")), options(lake.uri, more, instructions=5))
    assert {a.category for a in lake.rows(lake.snapshot(), Api)} == {"Harbour"}


def test_two_publishers_at_once_are_both_seen(nights: Nights, tmp_path: Path, options: Callable[..., Any]) -> None:
    lake, source = nights.copy(tmp_path), str(_harbour(tmp_path / "harbour"))
    before = lake.snapshot()
    empty = lake.put_draft(Draft())
    # Both drafts are made on the same snapshot: one takes Science away, one brings Harbour.
    night = lake.draft(collect_apis(options(lake.uri, categories=["Finance"]), empty).draft)
    for table in ("tools", "apis"):
        for entry in before.entries(table):
            if entry.partition["category"] == "Science":
                night.put(table, entry.partition, [])
    added = lake.draft(
        collect_apis(options(lake.uri, catalogue=source, categories=["Harbour"]), empty, category="Harbour").draft
    )
    ready = threading.Barrier(2)

    @flow
    def publish_at_once(draft: Draft) -> int:
        ready.wait()
        return publish(lake, draft, "at once").number

    numbers: list[int] = []
    threads = [
        threading.Thread(target=copy_context().run, args=(lambda d=draft: numbers.append(publish_at_once(d)),))
        for draft in (night, added)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [before.number + 1, before.number + 2]
    categories = {e.partition["category"] for e in lake.snapshot().entries("apis")}
    known = {e.partition["category"] for e in before.entries("apis")}
    assert categories == known - {"Science"} | {"Harbour"}


def test_a_category_that_the_source_no_longer_has_leaves_with_all_that_rested_on_it(
    tmp_path: Path, options: Callable[..., Any]
) -> None:
    lake, hub = Lake(str(tmp_path / "lake")), options(tmp_path, instructions=20, categories=None)
    small = {"catalogue.tool_holdout": 0, "catalogue.category_holdout": 0}
    source = tmp_path / "toolenv"
    for category in ("Harbour", "Weather"):
        for tool in ("Tides", "Berths"):
            _native(source, category, tool)
    chosen = hub.model_copy(update={"lake": lake.uri, "catalogue": str(source), "more": {**hub.more, **small}})
    for stage in (collect_apis, generate_instructions, annotate_solutions, build_dataset):
        stage(chosen)
    assert {e.partition["category"] for e in lake.snapshot().entries("solutions")} == {"Harbour", "Weather"}
    shutil.rmtree(source / "tools" / "Weather")
    collect_apis(chosen)
    generate_instructions(chosen)
    left = {e.partition.get("category") for n, es in lake.snapshot().tables.items() if n != "runs" for e in es}
    assert left == {"Harbour"}


def _native(source: Path, category: str, tool: str) -> None:
    """A tool of a toolenv folder with two APIs."""
    folder = source / "tools" / category
    folder.mkdir(parents=True, exist_ok=True)
    apis = [
        {
            "name": f"{kind} {tool}",
            "url": f"https://{tool.lower()}.example.org/{kind}",
            "description": f"The {kind} of the {tool.lower()} of a place, for {category.lower()}",
            "method": "GET",
            "required_parameters": [
                {"name": "place", "type": "STRING", "description": "The place's name", "default": "Bergen"}
            ],
            "optional_parameters": [],
            "schema": {"type": "object", "properties": {"value": {"type": "number"}}},
        }
        for kind in ("level", "count")
    ]
    document = {"tool_name": tool, "tool_description": f"{tool} for {category}", "title": tool, "api_list": apis}
    (folder / f"{tool.lower()}.json").write_text(json.dumps(document))
