"""Batches of shards: handed out, waited for, handed out again, taken back. The server is real, workers are played."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Cancelling, Completed, Crashed, Failed, Pending, Running
from pydantic import SecretStr

from flows import dispatch
from flows.dispatch import FLOW, Dispatch
from flows.parameters import Options
from flows.shards import TASKS, work_on_shards
from flows.terms import Terms, dispatching, settled, terms
from toolbench.demo import HOST
from toolbench.errors import LakeError, TeacherError, ToolbenchError, UsageError
from toolbench.lake import Lake, Spec
from toolbench.progress import Counter
from toolbench.services import services
from toolbench.settings import HostSettings, Settings

STAGE = "solutions"
HERE = {HOST: {"connect": "http://127.0.0.1:1"}}
Play = Callable[[SyncPrefectClient, FlowRun], None]


def _specs(*labels: str) -> list[Spec]:
    return [
        Spec(stage=STAGE, label=label, partition={"category": label}, records=[label], content=label, params={}, size=1)
        for label in labels
    ]


def _options(lake: Lake, **more: Any) -> Options:
    known = {"work.dispatch": f"{FLOW}/shards", "work.batch_shards": 2, "work.batch_patience": 60.0, "work.retries": 1}
    return Options(
        lake=lake.uri, more={**known, "apis.hosts": HERE, "teacher.base_url": "http://127.0.0.1:2/v1", **more}
    )


# Terms: what another process is told.


def test_another_process_comes_to_the_same_settings(lake: Lake) -> None:
    options = _options(lake)
    settings = options.settings()
    assert terms(lake, settings) is None, "nobody said that shards may be handed out"
    with dispatching(options):
        given = terms(lake, settings)
        assert given is not None
        assert not given.judge
        assert settled(given) == settings
        searcher = settings.with_(search={"method": "react"}, teacher={"model": "student"})
        assert settled(terms(lake, searcher) or given) == searcher
    assert terms(lake, settings) is None


def test_the_judge_s_key_comes_from_the_other_process_s_environment(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLBENCH_JUDGE__API_KEY", "sk-judge-1")
    options = _options(lake, **{"judge.base_url": "http://127.0.0.1:3/v1", "judge.model": "j"})
    with dispatching(options):
        judge = options.settings().as_judge()
        given = terms(lake, judge)
        assert given is not None
        assert given.judge
        assert settled(given) == judge
        assert "sk-judge-1" not in given.options.model_dump_json()


def test_what_no_option_can_say_is_not_handed_out(lake: Lake) -> None:
    options = _options(lake)
    with dispatching(options):
        settings = options.settings()
        assert terms(lake, settings.with_(teacher={"api_key": SecretStr("sk-other")})) is None
        assert terms(Lake("memory://here"), settings) is None
        assert terms(lake, settings.with_(work={"dispatch": ""})) is None


def test_services_of_one_s_own_stay_on_one_s_machine(lake: Lake) -> None:
    options = _options(lake, **{"teacher.base_url": "", "catalogue.source": "folder"})
    own = options.settings()
    started = own.with_(teacher={"base_url": "http://127.0.0.1:9/v1"}, apis={"hosts": {HOST: HostSettings()}})
    assert options.resolved(started).settings().work.dispatch == ""
    # A part of that run is told so, too; one that started nothing hands out.
    assert options.resolved(started).resolved(started).settings().work.dispatch == ""
    with services(_options(lake, **{"catalogue.source": "folder"}).settings()) as settings:
        assert _options(lake, **{"catalogue.source": "folder"}).resolved(settings).settings().work.dispatch


def test_a_batch_of_a_stage_that_nobody_knows(lake: Lake) -> None:
    with pytest.raises(UsageError, match=r"no stage 'cooking'; there are: .*solutions"):
        work_on_shards.fn(_options(lake), "cooking", ["specs/cooking/0.json"])
    assert STAGE in TASKS


# Batches, with workers that are played.


@pytest.fixture(scope="module")
def deployed() -> None:
    with get_client(sync_client=True) as client:
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name="played", type="process"))
        known = client.create_flow_from_name(FLOW)
        client.create_deployment(flow_id=known, name="shards", work_pool_name="played", entrypoint="nowhere:nothing")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(dispatch, "_LIST_SECONDS", 0.05)


def _finish(lake: Lake, names: Sequence[str]) -> None:
    for name in names:
        spec = lake.spec(f"specs/{STAGE}/{name}.json")
        lake.finish(spec, {}, taken_in=0, passed_on=0)


def _shards(run: FlowRun) -> list[str]:
    return [PurePosixPath(key).stem for key in run.parameters["shards"]]


class Worker:
    """Takes the batches of one lake and plays each of them as `plays` say, the last one for all that follow."""

    def __init__(self, lake: Lake, *plays: Play) -> None:
        self.taken: list[FlowRun] = []
        self._plays, self._over = list(plays), threading.Event()
        self._wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[f"lake {lake.id}"]))
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Worker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        with get_client(sync_client=True) as client:
            while not self._over.is_set():
                for run in client.read_flow_runs(flow_run_filter=self._wanted):
                    if run.state and run.state.type == StateType.SCHEDULED and self._plays:
                        self.taken.append(run)
                        play = self._plays.pop(0) if len(self._plays) > 1 else self._plays[0]
                        client.set_flow_run_state(run.id, Pending())
                        if play is not _never_begins:
                            client.set_flow_run_state(run.id, Running())
                        play(client, run)
                time.sleep(0.05)


def _ends(lake: Lake, state: Callable[[], State[Any]], done: int = 100) -> Play:
    """A batch that ends in a state after some of its shards."""

    def play(client: SyncPrefectClient, run: FlowRun) -> None:
        _finish(lake, _shards(run)[:done])
        client.set_flow_run_state(run.id, state())

    return play


def _never_begins(_: SyncPrefectClient, __: FlowRun) -> None:
    """Its process ends before it has said a word."""


def _run(lake: Lake, specs: Sequence[Spec], settings: Settings, work: Callable[[Sequence[Spec]], object]) -> Counter:
    counter = Counter(STAGE, len(specs))

    @flow
    def stage() -> None:
        given = Terms(_options(lake), judge=False)
        Dispatch(lake, given, settings, counter, lambda: None, work).run(specs)

    stage()
    return counter


def _nobody(_: Sequence[Spec]) -> None:
    raise AssertionError("a batch was worked on here")


def test_shards_are_handed_out_in_batches_and_counted_by_their_receipts(lake: Lake, deployed: None) -> None:
    specs = _specs(*"abcde")
    with Worker(lake, _ends(lake, Completed)) as worker:
        counter = _run(lake, specs, _options(lake).settings(), _nobody)
    assert sorted(len(run.parameters["shards"]) for run in worker.taken) == [1, 2, 2]
    assert {name for run in worker.taken for name in _shards(run)} == {spec.digest for spec in specs}
    assert worker.taken[0].name == "solutions a and 1 more"
    assert counter.done <= counter.total == 5
    assert all(lake.receipt(spec.digest) for spec in specs)


def test_a_batch_whose_worker_died_is_handed_out_again_and_only_what_is_left_of_it(lake: Lake, deployed: None) -> None:
    specs = _specs("a", "b")
    with Worker(lake, _ends(lake, Crashed, done=1), _ends(lake, Completed)) as worker:
        _run(lake, specs, _options(lake).settings(), _nobody)
    assert [_shards(run) for run in worker.taken] == [[s.digest for s in specs], [specs[1].digest]]


def test_a_batch_that_was_taken_and_never_began_is_handed_out_again(
    lake: Lake, deployed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_SILENT_SECONDS", 0.3)
    specs = _specs("a", "b")
    with Worker(lake, _never_begins, _ends(lake, Completed)) as worker:
        _run(lake, specs, _options(lake).settings(), _nobody)
        with get_client(sync_client=True) as client:
            assert client.read_flow_run(worker.taken[0].id).state_type == StateType.CRASHED
    assert [_shards(run) for run in worker.taken] == [[s.digest for s in specs]] * 2


def test_a_batch_that_was_told_to_end_and_never_says_that_it_has_is_handed_out_again(
    lake: Lake, deployed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken back at the moment in which it begins: its process ends without a word, and so does its worker."""
    monkeypatch.setattr(dispatch, "_SILENT_SECONDS", 0.3)
    specs = _specs("a", "b")
    with Worker(lake, _ends(lake, Cancelling, done=1), _ends(lake, Completed)) as worker:
        _run(lake, specs, _options(lake).settings(), _nobody)
        with get_client(sync_client=True) as client:
            assert client.read_flow_run(worker.taken[0].id).state_type == StateType.CANCELLED
    assert [_shards(run) for run in worker.taken] == [[s.digest for s in specs], [specs[1].digest]]


def test_a_batch_that_kills_every_worker_is_given_up(lake: Lake, deployed: None) -> None:
    with (
        Worker(lake, _ends(lake, Crashed, done=0)) as worker,
        pytest.raises(ToolbenchError, match="given to 2 workers and none finished it"),
    ):
        _run(lake, _specs("a"), _options(lake).settings(), _nobody)
    assert len(worker.taken) == 2


def test_what_a_batch_failed_with_is_raised_once_the_others_are_over(lake: Lake, deployed: None) -> None:
    message = "Flow run encountered an exception: LakeError: the disk is full."
    specs = _specs(*"abcd")
    with (
        Worker(lake, _ends(lake, lambda: Failed(message=message), done=1), _ends(lake, Completed)) as worker,
        pytest.raises(LakeError, match=r"^the disk is full\.$"),
    ):
        _run(lake, specs, _options(lake).settings(), _nobody)
    assert len(worker.taken) == 2
    assert [bool(lake.receipt(spec.digest)) for spec in specs] == [True, False, True, True]


def test_without_a_teacher_no_other_batch_is_handed_out(lake: Lake, deployed: None) -> None:
    message = "Flow run encountered an exception: TeacherError: a wrong key"
    settings = _options(lake, **{"work.batches": 1}).settings()
    with (
        Worker(lake, _ends(lake, lambda: Failed(message=message), done=0)) as worker,
        pytest.raises(TeacherError, match=r"^a wrong key$"),
    ):
        _run(lake, _specs(*"abcd"), settings, _nobody)
    assert len(worker.taken) == 1


def test_a_batch_that_nobody_takes_is_taken_back_and_worked_on_here(lake: Lake, deployed: None) -> None:
    specs = _specs(*"abc")
    here: list[str] = []

    def work(mine: Sequence[Spec]) -> None:
        here.extend(spec.label for spec in mine)
        _finish(lake, [spec.digest for spec in mine])

    _run(lake, specs, _options(lake, **{"work.batch_patience": 0.2}).settings(), work)
    assert sorted(here) == ["a", "b", "c"]
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[f"lake {lake.id}"]))
        assert [run.state_type for run in client.read_flow_runs(flow_run_filter=wanted)] == [StateType.CANCELLED] * 2


def test_a_run_that_comes_back_waits_for_the_batches_it_had_handed_out(lake: Lake, deployed: None) -> None:
    """They are not dispatched a second time, and their shards are not paid for twice."""
    specs = _specs(*"abc")
    held = threading.Event()

    def slow(client: SyncPrefectClient, run: FlowRun) -> None:
        held.wait(240)
        _ends(lake, Completed)(client, run)

    settings = _options(lake).settings()
    with Worker(lake, slow) as worker:
        first = threading.Thread(target=lambda: _run(lake, specs[:2], settings, _nobody))
        first.start()
        while not worker.taken:
            time.sleep(0.05)
        second = threading.Thread(target=lambda: _run(lake, specs, settings, _nobody))
        second.start()
        # Once the second has handed out what the first is not about, it has found the first one's batch.
        with get_client(sync_client=True) as client:
            wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[f"lake {lake.id}"]))
            deadline = time.monotonic() + 120
            while len(client.read_flow_runs(flow_run_filter=wanted)) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
        held.set()
        first.join(120)
        second.join(120)
    assert sorted(name for run in worker.taken for name in _shards(run)) == sorted(spec.digest for spec in specs)


def test_when_the_run_is_ended_its_batches_are(lake: Lake, deployed: None) -> None:
    def told(_: Sequence[Spec]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - Prefect wraps it or not
        _run(lake, _specs(*"abcd"), _options(lake, **{"work.batch_patience": 0.2}).settings(), told)
    assert isinstance(caught.value, KeyboardInterrupt)
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[f"lake {lake.id}"]))
        assert {run.state_type for run in client.read_flow_runs(flow_run_filter=wanted)} == {StateType.CANCELLED}


def test_a_deployment_that_is_not_there(lake: Lake, deployed: None) -> None:
    settings = _options(lake, **{"work.dispatch": f"{FLOW}/nobody"}).settings()
    with pytest.raises(UsageError, match=r"no deployment 'work-on-shards/nobody'.*deployments\.bootstrap"):
        _run(lake, _specs("a"), settings, _nobody)
