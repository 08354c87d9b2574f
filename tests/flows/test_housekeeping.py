"""publish-report and housekeeping: pages in the lake, and what is too old gone from it and from Prefect."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Running, Scheduled
from prefect.testing.utilities import prefect_test_harness
from workshop import Factory

from flows.housekeeping import Retention, housekeeping
from flows.parameters import Options
from flows.report import Report, publish_report
from toolbench.errors import ToolbenchError
from toolbench.lake import Draft, Lake


@pytest.fixture(scope="module", autouse=True)
def _own_server(prefect_server: None) -> Iterator[None]:
    """Another server: what the tasks of a run report after it was removed keeps a server from writing anything else."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def worked(factory: Factory, tmp_path: Path) -> Lake:
    """A lake with snapshots, and a file that none refers to."""
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    lake = Lake(str(tmp_path / "lake"))
    lake.store.write("drafts/rubbish.json", b"{}")
    return lake


@pytest.fixture
def clean() -> Iterator[None]:
    """Prefect knows no run."""
    with get_client(sync_client=True) as client:
        _forget(client)
        yield
        _forget(client)


def _forget(client: SyncPrefectClient) -> None:
    for run in client.read_flow_runs(limit=200):
        client.delete_flow_run(run.id)


@flow(name="nightly-refresh")
def writer() -> None:
    """Stands for a night that has not ended."""


def test_a_report_is_published_beside_the_tables(worked: Lake) -> None:
    number = worked.numbers()[-1]
    done = publish_report(Options(lake=worked.uri), Report(instructions_per_group=1))
    assert (done.address, done.snapshot) == (str(Path(worked.uri) / f"reports/{number}/index.html"), number)
    folder = Path(done.address).parent
    assert "samples.html" in Path(done.address).read_text(encoding="utf-8")
    assert list((folder / "data" / "trees").glob("*.js"))
    first = {path: path.read_bytes() for path in folder.rglob("*.*")}
    # The manifest goes before everything else, and the same snapshot gives the same bytes.
    manifest = worked.store.url(f"manifests/{number:012d}.json")
    again = publish_report(Options(lake="elsewhere"), Report(snapshot=1, instructions_per_group=1), manifest)
    assert again == done
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == first


def test_a_report_of_nothing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ToolbenchError, match="nothing was published"):
        publish_report(Options(lake=str(tmp_path / "empty")))


def test_old_snapshots_and_old_runs_go_and_new_ones_stay(
    worked: Lake, clean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, options = worked.numbers()[-2:], Options(lake=worked.uri)
    count, remove = (Retention(snapshots=2, run_days=30, mode=mode) for mode in ("count", "remove"))
    with get_client(sync_client=True) as client:
        night = client.create_flow_run(writer, state=Completed())
        assert housekeeping(options, count).runs == 0
        in_40_days = datetime.now(UTC) + timedelta(days=40)
        monkeypatch.setattr("flows.housekeeping._now", lambda: in_40_days)
        counted = housekeeping(options, count)
        assert counted.runs == 2, "the night and the housekeeping before"
        assert client.read_flow_run(night.id)
        assert worked.store.exists("drafts/rubbish.json")
        done = housekeeping(options, remove)
        assert (done.runs, done.waiting_for) == (3, "")
        with pytest.raises(ObjectNotFound):
            client.read_flow_run(night.id)
    assert done.files == counted.files > 0 < done.bytes
    assert worked.numbers() == kept
    assert not worked.store.exists("drafts/rubbish.json")


@pytest.mark.parametrize("state", [Running(), Scheduled(), Scheduled(scheduled_time=datetime.now(UTC))])
def test_the_lake_is_left_alone_while_a_flow_writes(worked: Lake, clean: None, state: object) -> None:
    with get_client(sync_client=True) as client:
        client.create_flow_run(writer, name="tonight", state=state)  # type: ignore[arg-type]
    done = housekeeping(Options(lake=worked.uri), Retention(snapshots=1))
    assert (done.files, done.waiting_for) == (0, "tonight")
    assert worked.store.exists("drafts/rubbish.json")


def test_a_run_of_tomorrow_stops_nothing(worked: Lake, clean: None) -> None:
    with get_client(sync_client=True) as client:
        client.create_flow_run(writer, state=Scheduled(scheduled_time=datetime.now(UTC) + timedelta(hours=20)))
    assert housekeeping(Options(lake=worked.uri), Retention(snapshots=1)).waiting_for == ""


def test_a_lake_to_which_nothing_was_published_is_left_as_it_is(tmp_path: Path, clean: None) -> None:
    lake = Lake(str(tmp_path / "lake"))
    key = lake.put_draft(Draft())
    assert housekeeping(Options(lake=lake.uri)).files == 0
    assert lake.store.exists(key)
