"""The task that reads a catalogue."""

import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterName
from workshop import Server, settings_for

from tasks.collect import collect_catalogue
from toolbench.demo import HOST
from toolbench.errors import SourceError, TransientError
from toolbench.lake import Lake
from toolbench.settings import Settings


def _settings(lake: Lake, source: str, hub: str = "", **catalogue: Any) -> Settings:
    return settings_for(lake, "http://127.0.0.1:9", hub, catalogue={"source": source, **catalogue})


def test_a_receipt_a_category_and_nothing_written_twice(lake: Lake, hub_server: Server) -> None:
    settings = _settings(lake, f"http://{HOST}/index.json", hub_server.url, categories=("Finance", "Science"))
    receipts, reused = collect_catalogue(lake, settings, "the hub", "")
    assert [r.partition["category"] for r in receipts] == ["Finance", "Science"]
    assert reused == 0
    for receipt in receipts:
        receipt.check("apis")
    assert collect_catalogue(lake, settings, "the hub", "") == (receipts, 2)


def test_its_run_is_named_after_the_source(lake: Lake, hub_server: Server) -> None:
    settings = _settings(lake, f"http://{HOST}/index.json", hub_server.url, categories=("Finance",))
    collect_catalogue(lake, settings, "hub.example/index.json", "")
    wanted = TaskRunFilter(name=TaskRunFilterName(any_=["collect hub.example/index.json"]))
    with get_client(sync_client=True) as client:
        deadline = time.monotonic() + 30
        while not (runs := client.read_task_runs(task_run_filter=wanted)) and time.monotonic() < deadline:
            time.sleep(0.2)
    assert len(runs) == 1


@pytest.mark.parametrize(("error", "attempts"), [(TransientError("busy"), 3), (OSError("reset"), 3)])
def test_what_may_pass_is_tried_again(
    error: Exception, attempts: int, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def fail(*_: object) -> None:
        tried.append(1)
        raise error

    monkeypatch.setattr("tasks.collect.collect", fail)
    quick = collect_catalogue.with_options(retry_delay_seconds=[0.01], retry_jitter_factor=None)
    with pytest.raises(type(error), match=str(error)):
        quick(lake, _settings(lake, "anywhere"), "anywhere", "")
    assert len(tried) == attempts


def test_a_source_that_is_not_there_is_not_tried_again(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolbench import catalogue

    tried = []

    def counted(*arguments: Any) -> Any:
        tried.append(1)
        return catalogue.collect(*arguments)

    monkeypatch.setattr("tasks.collect.collect", counted)
    with pytest.raises(SourceError, match=r"nowhere\.tar\.gz"):
        collect_catalogue(lake, _settings(lake, str(tmp_path / "nowhere.tar.gz")), "nowhere", "")
    assert tried == [1]
