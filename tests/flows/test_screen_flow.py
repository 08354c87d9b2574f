"""screen-apis: what it publishes, and what the stages after it do with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workshop import Server

from flows.collect import collect_apis
from flows.generate import generate_instructions
from flows.screen import screen_apis
from toolbench.errors import UsageError
from toolbench.lake import Draft, Lake
from toolbench.records import Api, Combination, Run, Verdict

MakeOptions = Callable[..., Any]
NIGHTS = {"screening.nights": 1}


@pytest.fixture(scope="module")
def screened(tmp_path_factory: pytest.TempPathFactory, options: MakeOptions) -> Lake:
    """Two categories of the hub after a night."""
    lake = Lake(str(tmp_path_factory.mktemp("screened") / "lake"))
    collect_apis(options(lake.uri))
    screen_apis(options(lake.uri, NIGHTS), None, "2025-01-01")
    return lake


def test_every_api_has_a_verdict_and_the_run_is_recorded(screened: Lake) -> None:
    view = screened.snapshot()
    verdicts = {v.id: v for v in screened.rows(view, Verdict)}
    assert view.flow == "screen-apis"
    assert verdicts.keys() == {a.id for a in screened.rows(view, Api)}
    failing = {name.rpartition("/")[2]: v.verdict for name, v in verdicts.items() if v.verdict != "working"}
    # Of Finance and Science; what is slow elsewhere is quick in tests.
    assert failing == {
        "moonrise_and_moonset": "dead",
        "reference_rates": "unauthorised",
        "amortisation_schedule": "rate_limited",
    }
    run = next(r for r in screened.rows(view, Run) if r.stage == "screening")
    assert run.taken_in == run.passed_on == len(verdicts)
    assert json.loads(run.outcomes)["newly_retired"] == 2
    assert run.calls == 0, "the teacher was not asked"


def test_the_same_night_again_publishes_nothing(screened: Lake, options: MakeOptions, hub_server: Server) -> None:
    before = screened.snapshot()
    done = screen_apis(options(screened.uri, NIGHTS), None, "2025-01-01")
    assert done.snapshot == before.number
    (run,) = screened.draft(done.draft).runs
    assert run["shards_reused"] == run["shards"] > 0


def test_what_is_retired_is_not_sampled_for_instructions(screened: Lake, options: MakeOptions) -> None:
    done = generate_instructions(options(screened.uri), screened.put_draft(Draft()))
    view = screened.draft(done.draft).view(screened.snapshot())
    used = {api for row in screened.rows(view, Combination) for api in row.apis}
    retired = {v.id for v in screened.rows(view, Verdict) if v.retired}
    assert len(retired) == 2
    assert used
    assert not used & retired


def test_verdicts_leave_with_the_apis_they_are_about(screened: Lake, options: MakeOptions) -> None:
    base, draft = screened.snapshot(), Draft()
    for table in ("apis", "tools"):
        for entry in base.entries(table):
            if entry.partition["category"] == "Science":
                draft.put(table, entry.partition, [])
    wanted = options(screened.uri, NIGHTS, categories=["Finance"])
    done = screen_apis(wanted, screened.put_draft(draft), "2025-01-02")
    after = screened.draft(done.draft).view(base)
    assert done.snapshot is None
    assert {e.partition["category"] for e in after.entries("verdicts")} == {"Finance"}
    assert {v.night for v in screened.rows(after, Verdict)} == {"2025-01-02"}


def test_an_empty_lake_and_an_unknown_category_are_said(screened: Lake, tmp_path: Path, options: MakeOptions) -> None:
    with pytest.raises(UsageError, match="has no APIs yet"):
        screen_apis(options(tmp_path / "empty"))
    with pytest.raises(UsageError, match="no APIs of category 'Sience'; it has Finance, Science"):
        screen_apis(options(screened.uri, categories=["Sience"]))
