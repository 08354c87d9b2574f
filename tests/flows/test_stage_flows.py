"""The stages as flows of their own, one after the other on one lake, each publishing what it made."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    TaskRunFilter,
    TaskRunFilterName,
)
from workshop import Server

from flows.annotate import annotate_solutions
from flows.collect import collect_apis
from flows.dataset import build_dataset
from flows.generate import generate_instructions
from flows.stage import Done, clear, publish
from toolbench.errors import LakeError, UsageError
from toolbench.lake import Draft, Entry, Lake, Snapshot
from toolbench.records import Instruction, Reject, Run, Solution

STAGES = {
    "collect-apis": (collect_apis, "catalogue", "apis"),
    "generate-instructions": (generate_instructions, "instructions", "instructions"),
    "annotate-solutions": (annotate_solutions, "solutions", "solutions"),
    "build-dataset": (build_dataset, "dataset", "conversations"),
}


@dataclass
class Staged:
    """A lake after all four flows."""

    lake: Lake
    done: dict[str, Done]
    flow_runs: list[UUID]
    events: list[dict[str, Any]]

    def copy(self, folder: Path) -> Lake:
        """The same lake in a folder that a test may change."""
        shutil.copytree(self.lake.uri, folder / "lake")
        return Lake(str(folder / "lake"))


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, options: Callable[..., Any]) -> Staged:
    lake = Lake(str(tmp_path_factory.mktemp("staged") / "lake"))
    events: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.stage.emit_event", lambda **event: events.append(event))
        states = {name: found[0](options(lake.uri), return_state=True) for name, found in STAGES.items()}
    done = {name: state.result() for name, state in states.items()}
    return Staged(lake, done, [state.state_details.flow_run_id for state in states.values()], events)


def _runs(lake: Lake, view: Snapshot | None = None) -> dict[str, Run]:
    return {run.stage: run for run in lake.rows(view or lake.snapshot(), Run)}


def test_each_publishes_its_tables_on_top_of_the_last(staged: Staged) -> None:
    assert [done.snapshot for done in staged.done.values()] == [1, 2, 3, 4]
    snapshots = [staged.lake.snapshot(n) for n in (1, 2, 3, 4)]
    assert [s.flow for s in snapshots] == list(STAGES)
    expected = [
        {"apis", "tools"},
        {"combinations", "instructions"},
        {"solutions", "api_calls", "judgments"},
        {"conversations", "retrieval_pairs"},
    ]
    seen = {"runs", "rejects"}
    for snapshot, tables in zip(snapshots, expected, strict=True):
        assert set(snapshot.tables) - seen == tables
        seen |= tables
    for earlier, later in pairwise(snapshots):
        for table in set(earlier.tables) - {"runs", "rejects"}:
            assert later.entries(table) == earlier.entries(table)


def test_the_draft_that_a_flow_returns_is_what_it_published(staged: Staged) -> None:
    for done in staged.done.values():
        draft, before = staged.lake.draft(done.draft), staged.lake.snapshot(done.snapshot - 1)
        after = staged.lake.snapshot(done.snapshot)
        assert {k: v for k, v in after.tables.items() if k != "runs"} == {
            k: v for k, v in draft.view(before).tables.items() if k != "runs"
        }


def test_nothing_is_lost_between_one_stage_and_the_next(staged: Staged) -> None:
    view, runs = staged.lake.snapshot(), _runs(staged.lake)
    rejected = dict.fromkeys(runs, 0)
    for reject in staged.lake.rows(view, Reject):
        rejected[reject.stage] += 1
    mains = {stage: main for _, stage, main in STAGES.values()} | {"judgments": "judgments"}
    assert set(runs) == set(mains)
    for stage, run in runs.items():
        assert run.taken_in == run.passed_on + run.rejected, stage
        assert run.passed_on == view.rows(mains[stage]) > 0, stage
        assert run.rejected == rejected[stage] == sum(json.loads(run.reasons).values()), stage
        assert (run.shards_reused, run.left, run.stopped) == (0, 0, "")
        assert (run.paid_calls, run.paid_tokens) == (run.calls, run.input_tokens + run.output_tokens), stage
    assert runs["solutions"].taken_in == runs["instructions"].passed_on
    assert runs["judgments"].taken_in == runs["dataset"].taken_in == runs["solutions"].passed_on
    asked_for = {i.id for i in staged.lake.rows(view, Instruction)}
    assert {s.instruction_id for s in staged.lake.rows(view, Solution)} == asked_for


@pytest.mark.parametrize("name", list(STAGES))
def test_a_second_call_publishes_nothing_and_asks_nobody(
    name: str, staged: Staged, options: Callable[..., Any], honest_teacher: Server
) -> None:
    before = staged.lake.snapshot()
    honest_teacher.reset()
    done = STAGES[name][0](options(staged.lake.uri))
    assert done.snapshot == before.number
    assert staged.lake.snapshot() == before
    assert honest_teacher.asked() == 0
    for run in staged.lake.draft(done.draft).runs:
        assert run["shards_reused"] == run["shards"] > 0
        assert run["paid_calls"] == 0


def test_a_flow_that_was_given_a_draft_adds_to_it_and_leaves_publishing_to_its_caller(
    tmp_path: Path, options: Callable[..., Any]
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    done = collect_apis(options(lake.uri), lake.put_draft(Draft()))
    assert done.snapshot is None
    assert lake.numbers() == []
    assert lake.draft(done.draft).view(Snapshot()).rows("apis") > 0


def test_each_publication_is_an_event(staged: Staged) -> None:
    assert [e["event"] for e in staged.events] == ["toolbench.dataset.published"] * 4
    last, view = staged.events[-1], staged.lake.snapshot()
    assert last["resource"]["prefect.resource.id"] == f"toolbench.lake.{staged.lake.uri}"
    assert last["resource"]["toolbench.flow"] == view.flow
    assert last["payload"]["snapshot"] == 4
    assert last["payload"]["rows"] == {table: view.rows(table) for table in view.tables}
    assert json.loads(Path(last["payload"]["manifest"]).read_text())["number"] == 4


def _artifact(staged: Staged, key: str) -> Any:
    """The one artifact with this key on the pages of the four flow runs."""
    wanted = ArtifactFilter(
        key=ArtifactFilterKey(any_=[key]), flow_run_id=ArtifactFilterFlowRunId(any_=staged.flow_runs)
    )
    with get_client(sync_client=True) as client:
        (found,) = client.read_artifacts(artifact_filter=wanted)
    return found


def test_progress_reached_the_end_on_the_flow_runs_page(staged: Staged) -> None:
    for stage in ("instructions", "solutions", "judgments", "dataset"):
        artifact = _artifact(staged, f"{stage}-progress")
        assert (artifact.type, artifact.data) == ("progress", 100.0)


def test_a_table_shows_what_came_in_and_went_out_by_group_and_category(staged: Staged) -> None:
    for stage in ("catalogue", "instructions", "solutions", "judgments", "dataset"):
        artifact = _artifact(staged, f"{stage}-counts")
        rows, run = json.loads(artifact.data), _runs(staged.lake)[stage]
        assert artifact.type == "table"
        assert len({tuple(row) for row in rows}) == 1, "every row has the columns of the first"
        assert [row["of"] for row in rows] == ["All", *(["I1", "I2"] * (stage != "catalogue")), "Finance", "Science"]
        total, groups, topics = rows[0], rows[1:-2], rows[-2:]
        assert (total["in"], total["out"], total["calls"]) == (run.taken_in, run.passed_on, run.calls)
        assert (total["shards"], total["cost"]) == (run.shards, "$0.0000")
        # What was added or changed is counted over all categories together.
        counted = {} if stage == "catalogue" else json.loads(run.outcomes)
        assert {name: total[name] for name in counted} == counted
        for part in filter(None, (groups, topics)):
            for name in ("in", "out", "calls", "tokens", *counted):
                assert sum(row[name] for row in part) == total[name]
    rates = json.loads(_artifact(staged, "solutions-counts").data)[0]
    rate, _, ends = rates["pass rate"].partition(" ")
    assert rate == f"{100 * rates['solved'] / rates['in']:.1f}%"
    low, high = (float(end) for end in ends.strip("(%)").split(" to "))
    assert low < 100 * rates["solved"] / rates["in"] <= high


def test_task_runs_are_named_after_their_shards(staged: Staged) -> None:
    receipts = [
        staged.lake.receipt(e.spec)
        for table in ("instructions", "solutions", "judgments", "conversations")
        for e in staged.lake.snapshot().entries(table)
    ]
    verbs = {"instructions": "instruct", "solutions": "annotate", "judgments": "judge", "dataset": "build"}
    names = sorted({f"{verbs[r.stage]} {r.label}" for r in receipts if r})
    assert any(name.startswith("annotate ") and "I1" in name and name.endswith(" 1/1") for name in names)
    wanted = TaskRunFilter(name=TaskRunFilterName(any_=names))
    with get_client(sync_client=True) as client:
        deadline = time.monotonic() + 30
        found: set[str] = set()
        while found != set(names) and time.monotonic() < deadline:
            found = {run.name for run in client.read_task_runs(task_run_filter=wanted)}
            time.sleep(0.2)
    assert sorted(found) == names


def test_counts_that_do_not_add_up_are_not_published(
    staged: Staged, tmp_path: Path, options: Callable[..., Any]
) -> None:
    lake = staged.copy(tmp_path)
    before = lake.snapshot()
    entry = before.entries("solutions")[0]
    path = Path(lake.uri) / "receipts" / f"{entry.spec}.json"
    receipt = json.loads(path.read_text())
    path.write_text(json.dumps({**receipt, "taken_in": receipt["taken_in"] + 1}))
    with pytest.raises(LakeError, match=f"shard {entry.spec} .* do not add up.*nothing was published"):
        annotate_solutions(options(lake.uri))
    assert lake.snapshot() == before


def test_a_file_that_is_gone_is_made_again_as_the_message_says(
    staged: Staged, tmp_path: Path, options: Callable[..., Any]
) -> None:
    lake = staged.copy(tmp_path)
    before = lake.snapshot()
    entry = before.entries("conversations")[0]
    content = (Path(lake.uri) / entry.path).read_bytes()
    (Path(lake.uri) / entry.path).unlink()
    # Prefect remembers the shard under this lake's id: only its receipt says whether it is done.
    (Path(lake.uri) / "receipts" / f"{entry.spec}.json").unlink()
    assert build_dataset(options(lake.uri)).snapshot == before.number
    assert lake.snapshot() == before
    assert (Path(lake.uri) / entry.path).read_bytes() == content


def test_annotating_a_lake_without_instructions_says_so(tmp_path: Path, options: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match=r"has no instructions yet: run `toolbench instruct` first"):
        annotate_solutions(options(tmp_path / "empty"))


def test_generating_from_nothing_or_for_an_unknown_category_says_so(
    staged: Staged, tmp_path: Path, options: Callable[..., Any]
) -> None:
    with pytest.raises(UsageError, match="has no APIs yet"):
        generate_instructions(options(tmp_path / "empty"))
    with pytest.raises(UsageError, match="no APIs of category 'Sience'; it has Finance, Science"):
        generate_instructions(options(staged.lake.uri, categories=["Sience"]))


def _tables_with(view: Snapshot, **partition: str) -> set[str]:
    return {
        name
        for name, entries in view.tables.items()
        for entry in entries
        if partition.items() <= entry.partition.items()
    }


def test_what_rested_on_a_category_that_is_gone_goes_with_it(
    staged: Staged, tmp_path: Path, options: Callable[..., Any]
) -> None:
    lake = staged.copy(tmp_path)
    base, draft = lake.snapshot(), Draft()
    gone = next(e.partition["category"] for e in base.entries("conversations"))
    for table in ("tools", "apis"):
        for entry in base.entries(table):
            draft.put(table, entry.partition, [] if entry.partition["category"] == gone else [entry])
    assert {"instructions", "solutions", "judgments", "conversations"} <= _tables_with(base, category=gone)
    # All groups that were planned over both categories before are planned over the other one now.
    done = generate_instructions(options(lake.uri, categories=None), lake.put_draft(draft))
    after = lake.draft(done.draft).view(base)
    assert _tables_with(after, category=gone) == set()
    assert after.rows("instructions") > 0


def test_a_run_for_one_category_leaves_another_alone_even_if_its_apis_are_gone(
    staged: Staged, tmp_path: Path, options: Callable[..., Any]
) -> None:
    lake = staged.copy(tmp_path)
    base, draft = lake.snapshot(), Draft()
    for table in ("tools", "apis"):
        for entry in base.entries(table):
            draft.put(table, entry.partition, [] if entry.partition["category"] == "Science" else [entry])
    done = generate_instructions(options(lake.uri, categories=["Finance"]), lake.put_draft(draft))
    after = lake.draft(done.draft).view(base)
    untouched = _tables_with(base, category="Science") - {"apis", "tools"}
    assert untouched - {"rejects"} == _tables_with(after, category="Science") - {"rejects"} != set()


def test_without_judging_there_are_no_judgments(staged: Staged, tmp_path: Path, options: Callable[..., Any]) -> None:
    lake = staged.copy(tmp_path)
    done = annotate_solutions(options(lake.uri, {"judge.votes": 0}))
    after = lake.snapshot(done.snapshot)
    assert after.rows("judgments") == 0
    assert after.entries("solutions") == lake.snapshot(done.snapshot - 1).entries("solutions")


def test_rejects_leave_with_the_partition_they_came_from() -> None:
    def entry(table: str, **partition: str) -> Entry:
        return Entry(path=f"tables/{table}/x.parquet", rows=1, bytes=1, sha256="", partition=partition, spec="x")

    base = Snapshot(
        tables={
            "apis": [entry("apis", category="A"), entry("apis", category="B")],
            "rejects": [entry("rejects", category=c, stage=s) for c in "AB" for s in ("catalogue", "solutions")],
        }
    )
    draft = Draft()
    clear(draft, base, "catalogue", ("tools", "apis"), lambda p: p == {"category": "A"})
    after = draft.view(base)
    assert [e.partition for e in after.entries("apis")] == [{"category": "B"}]
    assert [(e.partition["category"], e.partition["stage"]) for e in after.entries("rejects")] == [
        ("A", "solutions"), ("B", "catalogue"), ("B", "solutions"),
    ]  # fmt: skip


def test_publishing_what_changes_nothing_tells_nobody(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Any] = []
    monkeypatch.setattr("flows.stage.emit_event", lambda **event: events.append(event))

    @flow
    def twice() -> Snapshot:
        return publish(staged.lake, staged.lake.draft(staged.done["build-dataset"].draft), "again")

    assert twice() == staged.lake.snapshot(4)
    assert events == []
