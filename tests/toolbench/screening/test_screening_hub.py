"""A screening of the demo hub over real HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from workshop import Server, publish, settings_for, work_on

from toolbench import catalogue, screening
from toolbench.demo import create_app, tool
from toolbench.demo.misbehaving import MISBEHAVING
from toolbench.lake import Lake
from toolbench.records import Api, Verdict

EXPECTED = {
    "500": ("dead", "server_error"),
    "404": ("dead", "not_found"),
    "401": ("unauthorised", "unauthorised"),
    "429": ("rate_limited", "too_many_requests"),
    "slow": ("slow", "timeout"),
    "html": ("low_quality", "html"),
    "megabyte": ("low_quality", "too_large"),
}


@pytest.fixture
def slow_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The hub as users meet it; its slow API takes 8 seconds, which is still too long."""
    monkeypatch.setattr(tool, "SLOW_SECONDS", 8.0)
    server = Server(create_app())
    yield server
    server.stop()


def test_every_api_that_misbehaves_on_purpose_is_found_and_no_other(
    lake: Lake, slow_hub: Server, hub_documents: Path
) -> None:
    settings = settings_for(
        lake,
        "http://nobody.invalid",
        slow_hub.url,
        catalogue={"source": str(hub_documents)},
        apis={"timeout": 4.0, "rate_per_host": 0},
        screening={"nights": 1, "slow": 3.5},
    )
    view = publish(lake, catalogue.collect(lake, settings)[0], catalogue.TABLES)
    specs = screening.plan(lake, view, settings, "2025-06-21")
    view = work_on(lake, specs, settings, screening.screen, screening.TABLES, "verdicts").view

    verdicts = {v.id.rpartition("/")[2]: v for v in lake.rows(view, Verdict)}
    assert len(verdicts) == len(list(lake.rows(view, Api))) == 113
    misbehaving = {name: EXPECTED[kind] for name, kind in MISBEHAVING.items()}
    found = {name: (v.verdict, v.reason) for name, v in verdicts.items() if v.verdict != "working"}
    assert found == misbehaving
    assert {name for name, v in verdicts.items() if v.retired} == misbehaving.keys() - {"amortisation_schedule"}
    for verdict in verdicts.values():
        evidence = json.loads(verdict.evidence)
        assert len(evidence) == verdict.calls > 0
        assert {call["source"] for call in evidence} == {"live"}
        assert verdict.p95 == max(call["seconds"] for call in evidence)
