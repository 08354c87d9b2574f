"""compress-responses: what it publishes, what it leaves alone, and what it asks a second time: nothing."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workshop import Server, an_api

from flows.compress import compress_responses
from toolbench.digests import digest
from toolbench.errors import UsageError
from toolbench.lake import Draft, Lake, Spec
from toolbench.records import Api, ResponseKeys, Run

MakeOptions = Callable[..., Any]
EVERY: dict[str, Any] = {"categories": None}


def placed(lake: Lake, *apis: Api) -> None:
    """Publish a catalogue of these APIs, all of one category."""
    where = {"source": "crawl", "category": apis[0].category}
    content = digest([dataclasses.asdict(api) for api in apis])
    spec = Spec(stage="catalogue", label="", partition=where, records=[], content=content, params={})
    draft = Draft()
    draft.add([lake.finish(spec, {Api: list(apis)}, taken_in=len(apis), passed_on=len(apis))], ("apis",))
    lake.publish(draft, "test")


def talkative(tool: str, category: str) -> Api:
    """An API with a long response in its documentation."""
    example = {"rows": [{"title": f"{tool} {n}", "hash": n} for n in range(80)]}
    return dataclasses.replace(an_api(tool, "rows", category=category), response_example=json.dumps(example))


@pytest.fixture
def catalogue(tmp_path: Path) -> Lake:
    """A lake with two categories, each with an API of long responses and one of none."""
    lake = Lake(str(tmp_path / "lake"))
    placed(lake, talkative("Sky", "Weather"), an_api("Sea", "tides"))
    placed(lake, talkative("Songs", "Music"), an_api("Bands", "tours", category="Music"))
    return lake


def limited(options: MakeOptions, lake: Lake, more: dict[str, Any] | None = None, **fields: Any) -> Any:
    return options(lake.uri, {"compression.max_tokens": 200, **(more or {})}, **{**EVERY, **fields})


def keyed(lake: Lake, number: int | None) -> dict[str, list[str]]:
    return {row.id: row.keys for row in lake.rows(lake.snapshot(number), ResponseKeys)}


def test_the_keys_of_long_responses_are_published_and_asked_for_once(
    catalogue: Lake, options: MakeOptions, honest_teacher: Server
) -> None:
    honest_teacher.reset()
    done = compress_responses(limited(options, catalogue))
    assert honest_teacher.asked() == 2
    found = keyed(catalogue, done.snapshot)
    assert sorted(found) == ["Music/songs/rows", "Weather/sky/rows"]
    assert all("rows[].title" in keys for keys in found.values())
    (run,) = (r for r in catalogue.rows(catalogue.snapshot(), Run) if r.stage == "compression")
    assert (run.taken_in, run.passed_on, run.rejected, run.calls, run.model) == (2, 2, 0, 2, "offline-teacher")
    again = compress_responses(limited(options, catalogue))
    assert (again.snapshot, honest_teacher.asked()) == (done.snapshot, 2)


def test_other_categories_are_left_alone_and_what_is_no_longer_long_goes(catalogue: Lake, options: MakeOptions) -> None:
    compress_responses(limited(options, catalogue))
    placed(catalogue, an_api("Sky", "rows", digest="terse"), an_api("Sea", "tides"))
    placed(catalogue, an_api("Songs", "rows", category="Music", digest="terse"))
    done = compress_responses(limited(options, catalogue, categories=["Music"]))
    assert sorted(keyed(catalogue, done.snapshot)) == ["Weather/sky/rows"]
    assert keyed(catalogue, compress_responses(limited(options, catalogue)).snapshot) == {}


def test_who_truncates_asks_nothing_and_loses_nothing(
    catalogue: Lake, options: MakeOptions, honest_teacher: Server
) -> None:
    before = compress_responses(limited(options, catalogue))
    honest_teacher.reset()
    done = compress_responses(limited(options, catalogue, {"compression.method": "truncate"}))
    assert (done.snapshot, honest_teacher.asked()) == (before.snapshot, 0)
    assert len(keyed(catalogue, done.snapshot)) == 2


def test_a_draft_is_added_to_and_left_to_its_caller(catalogue: Lake, options: MakeOptions) -> None:
    before = catalogue.snapshot()
    done = compress_responses(limited(options, catalogue), catalogue.put_draft(Draft()))
    assert (done.snapshot, catalogue.snapshot()) == (None, before)
    assert catalogue.draft(done.draft).view(before).rows("response_keys") == 2


def test_a_lake_without_apis_or_a_category_it_has_not_is_said(
    catalogue: Lake, tmp_path: Path, options: MakeOptions
) -> None:
    with pytest.raises(UsageError, match="has no APIs yet: run collect-apis first"):
        compress_responses(limited(options, Lake(str(tmp_path / "empty"))))
    with pytest.raises(UsageError, match="no APIs of category 'Wether'; it has Music, Weather"):
        compress_responses(limited(options, catalogue, categories=["Wether"]))
