"""Combinations from night to night: what stays, what goes, what is new."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from workshop import Server, an_api, journaled, publish, settings_for, work_on

from toolbench import instructions
from toolbench.lake import Lake, Snapshot, Spec
from toolbench.records import Api, Combination, Instruction
from toolbench.settings import Settings

AMOUNT = {"total": 60, "per_combination": 3, "groups": ("I1", "I2")}


def catalogue_of(lake: Lake, apis: Sequence[Api]) -> Snapshot:
    """Publish a catalogue of one category."""
    partition = {"source": "test", "category": "Weather"}
    spec = Spec(
        stage="catalogue", label="", partition=partition, records=[a.id for a in apis],
        content="".join(a.digest for a in apis), params={},
    )  # fmt: skip
    return publish(lake, [lake.finish(spec, {Api: apis}, taken_in=len(apis), passed_on=len(apis))], ("apis",))


def some_apis(tools: int = 6, each: int = 7) -> list[Api]:
    return [an_api(f"T{tool}", f"a{number}") for tool in range(tools) for number in range(each)]


def night(lake: Lake, settings: Settings, apis: Sequence[Api], **more: Any) -> tuple[list[Spec], Snapshot]:
    """Plan, write and publish, as a nightly refresh does."""
    base = lake.snapshot()
    view = catalogue_of(lake, apis)
    specs = instructions.plan(lake, view, settings, categories=["Weather"], base=base if base.number else None, **more)
    worked = work_on(lake, specs, settings, instructions.generate, instructions.TABLES, "instructions")
    return specs, worked.view


def combinations(specs: Sequence[Spec]) -> dict[str, list[str]]:
    return {c["id"]: c["apis"] for spec in specs for c in spec.params["combinations"]}


@pytest.fixture
def settings(lake: Lake, honest_teacher: Server) -> Settings:
    return settings_for(lake, honest_teacher.url, instructions=AMOUNT, work={"shard_size": 12})


def test_nothing_new_is_the_same_shards(lake: Lake, settings: Settings) -> None:
    first, _ = night(lake, settings, some_apis())
    again, _ = night(lake, settings, some_apis())
    assert len(first) > 3
    assert sorted(s.digest for s in again) == sorted(s.digest for s in first)
    assert all(c["content"] for s in first for c in s.params["combinations"])


def test_what_was_added_is_drawn_and_the_rest_stays(lake: Lake, settings: Settings) -> None:
    first, _ = night(lake, settings, some_apis())
    new = [an_api("T9", f"a{n}") for n in range(7)]
    second, _ = night(lake, settings, [*some_apis(), *new])
    old, now = combinations(first), combinations(second)
    assert old.items() <= now.items()
    assert {s.digest for s in first} <= {s.digest for s in second}, "no shard that was paid for is made again"
    added = [apis for name, apis in now.items() if name not in old]
    assert added
    assert all({a.id for a in new} & set(apis) for apis in added)


def test_what_changed_goes_and_comes_back_anew(lake: Lake, settings: Settings) -> None:
    first, _ = night(lake, settings, some_apis())
    changed = [dataclasses.replace(a, digest="other") if a.id == "Weather/t1/a1" else a for a in some_apis()]
    second, view = night(lake, settings, changed)
    old = {c["id"]: c for s in first for c in s.params["combinations"]}
    now = {c["id"]: c for s in second for c in s.params["combinations"]}
    touched = {name for name, c in old.items() if "Weather/t1/a1" in c["apis"]}
    assert touched
    for name, c in old.items():
        assert (now.get(name) == c) is (name not in touched)
    new = [c for name, c in now.items() if old.get(name) != c]
    assert any("Weather/t1/a1" in c["apis"] for c in new)
    assert len(now) >= len(old)
    assert {r.combination_id for r in lake.rows(view, Instruction)} <= now.keys()
    assert {r.id for r in lake.rows(view, Combination)} == now.keys()


def test_the_teacher_is_not_asked_again_for_what_stayed_in_a_shard_that_was_cut(lake: Lake, settings: Settings) -> None:
    first, before = night(lake, settings, some_apis())
    written = {r.id: r.text for r in lake.rows(before, Instruction)}
    gone = [a for a in some_apis() if a.id != "Weather/t1/a1"]
    second, after = night(lake, settings, gone)
    kept = combinations(first).keys() & combinations(second).keys()
    cut = [s for s in second if s.digest not in {f.digest for f in first} and kept & set(s.records)]
    assert cut, "one API of many was in some shards, not in all"
    for spec in cut:
        assert spec.earlier
        asked = {row["record"]: row["started_at"] for row in journaled(lake, spec)}
        then = {row["record"]: row["started_at"] for f in first for row in journaled(lake, f)}
        assert {name for name, when in asked.items() if then.get(name) == when} >= kept & set(spec.records)
    texts = {r.id: r.text for r in lake.rows(after, Instruction) if r.combination_id in kept}
    assert texts
    assert texts.items() <= written.items()


def test_another_seed_draws_all_anew(lake: Lake, settings: Settings) -> None:
    first, _ = night(lake, settings, some_apis())
    second, _ = night(lake, settings.model_copy(update={"seed": 8}), some_apis())
    same = combinations(first).keys() & combinations(second).keys()
    assert len(same) < len(combinations(first)) / 2
    assert {c["seed"] for s in first for c in s.params["combinations"]}.isdisjoint(
        c["seed"] for s in second for c in s.params["combinations"]
    )


def test_fewer_wanted_removes_nothing_and_more_wanted_adds(lake: Lake, settings: Settings) -> None:
    first, _ = night(lake, settings, some_apis())
    fewer, _ = night(lake, settings.with_(instructions={"total": 30}), some_apis())
    assert combinations(fewer) == combinations(first), "what was paid for stays"
    more, _ = night(lake, settings.with_(instructions={"total": 90}), some_apis())
    assert len(combinations(more)) == 30
    assert combinations(first).items() <= combinations(more).items()


def test_enough_combinations_cover_every_api(lake: Lake, settings: Settings) -> None:
    apis = [*some_apis(3, 11), *(an_api(f"R{n}", "only", category="Rare") for n in range(2))]
    partition = {"source": "test", "category": "Rare"}
    rare = [a for a in apis if a.category == "Rare"]
    spec = Spec(stage="catalogue", label="", partition=partition, records=[], content="r", params={})
    publish(lake, [lake.finish(spec, {Api: rare}, taken_in=2, passed_on=2)], ("apis",))
    view = catalogue_of(lake, apis[:-2])
    drawn, table = instructions.preview(lake, view, settings, categories=["Rare", "Weather"], count=24)
    assert len(drawn) == 24, "what a topic with three combinations cannot give the other does"
    single = {row.topic: row for row in table if row.group == "I1"}
    assert all(row.apis == row.of_apis for row in single.values())
    assert {row.topic for row in table if row.group == "I2"} == {"Rare", "Weather"}
