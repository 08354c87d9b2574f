"""watch-inbox on a Prefect server: the event that starts add-category, once for each version of a document."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client

from flows import inbox
from flows.inbox import REQUESTED, Inbox, watch_inbox
from flows.parameters import Options
from toolbench.catalogue.inbox import requests
from toolbench.lake.store import Store

AT_ONCE = Inbox(settle_seconds=0)


def emitted(about: str) -> list[dict[str, Any]]:
    """The events about a category that the server has, within a while: it writes them down in the background."""
    wanted = {"filter": {"event": {"name": [REQUESTED]}, "resource": {"id": [f"toolbench.inbox.{about}"]}}}
    with get_client(sync_client=True) as client:
        for _ in range(100):
            found: list[dict[str, Any]] = client.request("POST", "/events/filter", json=wanted).json()["events"]
            if found:
                break
            time.sleep(0.2)
    return found


def drop(lake: Path, *names: str) -> None:
    for name in names:
        (lake / "inbox" / name).parent.mkdir(parents=True, exist_ok=True)
        (lake / "inbox" / name).write_text("{}")


def test_each_category_is_an_event_with_what_add_category_needs(tmp_path: Path) -> None:
    drop(tmp_path, "Weather/a.json", "Weather/b.json", "Night Life/a.yaml", "lost.json")
    assert watch_inbox(Options(lake=str(tmp_path)), AT_ONCE).categories == ["Night Life", "Weather"]
    (event,) = emitted("Weather")
    assert event["payload"] == {"category": "Weather", "source": str(tmp_path / "inbox" / "Weather"), "documents": 2}
    assert watch_inbox(Options(lake=str(tmp_path)), AT_ONCE).categories == []
    os.utime(tmp_path / "inbox" / "Weather" / "a.json", (1, 1))
    assert watch_inbox(Options(lake=str(tmp_path)), AT_ONCE).categories == ["Weather"]


def test_who_was_killed_after_the_event_left_nothing_to_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(tmp_path, "Music/a.json")
    store = Store(str(tmp_path))
    monkeypatch.setattr(inbox, "sent", lambda store, request: None)
    watch_inbox(Options(lake=str(tmp_path)), AT_ONCE)
    assert len(emitted("Music")) == 1
    later = time.time() + 100
    (lost,) = requests(store, 0, now=lambda: later)
    monkeypatch.undo()
    posted: list[Any] = []
    with get_client(sync_client=True) as client:
        real = client.request
        monkeypatch.setattr(client, "request", lambda *given, **more: posted.append(given) or real(*given, **more))
        inbox._pass_on(client, store, lost)
    assert [path for _, path in posted] == ["/events/filter"], "the server has it"


def test_what_the_server_did_not_take_is_passed_on_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(tmp_path, "Travel/a.json")

    def gone(*given: Any) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "_pass_on", gone)
        with pytest.raises(ConnectionError):
            watch_inbox(Options(lake=str(tmp_path)), AT_ONCE)
    later = time.time() + 100
    monkeypatch.setattr("flows.inbox.requests", lambda store, settle: requests(store, settle, now=lambda: later))
    assert watch_inbox(Options(lake=str(tmp_path)), AT_ONCE).categories == ["Travel"]
    assert len(emitted("Travel")) == 1
    assert watch_inbox(Options(lake=str(tmp_path)), AT_ONCE).categories == []
