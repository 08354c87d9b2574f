"""The budget of a run: what it stops, what is published all the same, and that nothing is paid for twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId, TaskRunFilter
from prefect.client.schemas.filters import TaskRunFilterName as Named
from workshop import Server

from flows.annotate import annotate_solutions
from flows.collect import collect_apis
from flows.evaluate import evaluate
from flows.generate import generate_instructions
from flows.nightly import add_category, nightly_refresh
from flows.retriever import train
from flows.stage import BUDGET_USED_UP
from tasks.shard import LEFT
from toolbench import night
from toolbench.demo import HOST
from toolbench.errors import BudgetError, UsageError
from toolbench.lake import Draft, Lake, Spec
from toolbench.records import Conversation, Instruction, Judgment, RetrievalPair, Run, Solution
from toolbench.settings import Settings

MakeOptions = Callable[..., Any]
SOURCE = f"http://{HOST}/index.json"
SMALL: dict[str, Any] = {"work.shard_size": 5, "work.workers": 1, "retriever.max_tokens": 16}
"""Shards of five records, one at a time: so it is known which are done when the budget ends."""


def _runs(lake: Lake, draft: str) -> dict[str, Run]:
    return {run["stage"]: Run(**{**run, "spec": ""}) for run in lake.draft(draft).runs}


def _consistent(lake: Lake) -> None:
    """No row rests on one that is not there, and nothing is trained on that the judge has not seen."""
    view = lake.snapshot()
    instructions = {row.id for row in lake.rows(view, Instruction)}
    solutions = {row.id: row for row in lake.rows(view, Solution)}
    judged = {row.solution_id for row in lake.rows(view, Judgment)}
    assert {row.instruction_id for row in solutions.values()} <= instructions
    assert judged <= set(solutions)
    assert {row.solution_id for row in lake.rows(view, Conversation)} <= judged


def test_nights_on_a_budget_come_to_what_one_without_comes_to(
    tmp_path: Path, options: MakeOptions, honest_teacher: Server
) -> None:
    whole, lake = Lake(str(tmp_path / "whole")), Lake(str(tmp_path / "lake"))
    honest_teacher.reset()
    add_category("Finance", SOURCE, options(whole.uri, SMALL))
    price = honest_teacher.asked()
    budget = price * 2 // 5
    asked: list[int] = []
    states = []
    while not asked or asked[-1] == budget:
        honest_teacher.reset()
        given = options(lake.uri, SMALL, max_calls=budget)
        states.append(add_category("Finance", SOURCE, given, return_state=True))
        asked.append(honest_teacher.asked())
        _consistent(lake)
        assert len(asked) < 6
    assert asked[:2] == [budget, budget], "a budget is used up and not exceeded"
    assert sum(asked) == price, "and what it paid for is not paid for again"
    assert [state.name for state in states] == [BUDGET_USED_UP] * 2 + ["Completed"]
    first, last = states[0].result(), states[-1].result()
    assert (first.snapshot, states[0].type.value) == (1, "COMPLETED")

    cut = _runs(lake, first.draft)
    assert cut["instructions"].left == 0
    assert cut["solutions"].shards > 0
    assert cut["solutions"].left > 0
    assert sum(run.paid_calls for run in cut.values()) == budget
    stored = {run.stage: run for run in lake.rows(lake.snapshot(1), Run)}
    assert "budget.max_calls" in stored["solutions"].stopped
    assert f"{stored['solutions'].left} of" in states[0].message
    assert 0 < lake.snapshot(1).rows("solutions") < lake.snapshot().rows("solutions")
    assert lake.snapshot(1).rows("conversations") == 0, "the judge has seen no answer yet"

    assert all(run.left == 0 for run in _runs(lake, last.draft).values())
    for table in ("instructions", "solutions", "judgments", "conversations", "retrieval_pairs"):
        assert {(e.path, e.sha256) for e in lake.snapshot().entries(table)} == {
            (e.path, e.sha256) for e in whole.snapshot().entries(table)
        }
    assert lake.store.list("nights") == [], "its account ends with a run"
    _said_where_it_is_looked_for(states[0].state_details.flow_run_id)


def _said_where_it_is_looked_for(flow_run_id: Any) -> None:
    """The parts of the run, and the shards that were under way, are no failures."""
    parents = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        parts = {run.name.split()[0]: run.state_name for run in client.read_flow_runs(flow_run_filter=parents)}
        shards = client.read_task_runs(task_run_filter=TaskRunFilter(name=Named(like_="annotate")))
    assert parts["generate-instructions"] == "Completed"
    assert parts["annotate-solutions"] == BUDGET_USED_UP
    assert LEFT in {run.state_name for run in shards}
    assert "Failed" not in {run.state_name for run in shards}


def test_what_was_there_stays_while_it_is_true_and_its_shards_are_left(
    tmp_path: Path, options: MakeOptions, honest_teacher: Server
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    given = options(lake.uri, SMALL)
    for stage in (collect_apis, generate_instructions, annotate_solutions):
        stage(given)
    before = lake.snapshot()
    # Another way to search: every solution has to be made anew, and none of it is paid for.
    honest_teacher.reset()
    changed = options(lake.uri, {**SMALL, "teacher.temperature": 0.5}, max_calls=1)
    state = annotate_solutions(changed, return_state=True)
    assert (state.name, honest_teacher.asked()) == (BUDGET_USED_UP, 1)
    assert lake.snapshot().entries("solutions") == before.entries("solutions")
    assert lake.snapshot().entries("judgments") == before.entries("judgments")
    _consistent(lake)


def test_a_run_whose_time_is_up_asks_nothing_and_trains_nothing(
    tmp_path: Path, options: MakeOptions, honest_teacher: Server
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    honest_teacher.reset()
    state = nightly_refresh(options(lake.uri, SMALL, max_hours=1e-6), return_state=True)
    assert (state.name, honest_teacher.asked()) == (BUDGET_USED_UP, 0)
    assert "budget.max_hours" in state.message
    assert lake.snapshot().rows("apis") > 0
    assert lake.snapshot().models == {}


def test_when_the_time_is_up_the_retriever_is_not_trained_and_the_one_there_is_stays(lake: Lake) -> None:
    pair = RetrievalPair(
        id="1", query_id="q", query="Rain?", api_id="a", document="Rain", group="I1", category="Weather", collection="",
        split="train", model="m",
    )  # fmt: skip
    spec = Spec(stage="dataset", label="", partition={"group": "I1"}, records=["q"], content="", params={})
    draft = Draft()
    draft.add([lake.finish(spec, {RetrievalPair: [pair]}, taken_in=1, passed_on=1)], ("retrieval_pairs",))
    late = night.begin(lake, Settings(lake=lake.uri, budget={"max_hours": 1e-9}), "late")
    after = train(lake, draft, late)
    assert (after.models, [(run["stage"], run["left"]) for run in after.runs]) == ({}, [("retriever", 1)])
    assert "budget.max_hours" in after.runs[0]["stopped"]


def test_an_evaluation_of_a_part_is_none(tmp_path: Path, options: MakeOptions) -> None:
    lake = Lake(str(tmp_path / "lake"))
    more = {**SMALL, "instructions.holdout": 0.5}
    for stage in (collect_apis, generate_instructions):
        stage(options(lake.uri, more))
    before = lake.snapshot()
    with pytest.raises(BudgetError, match=r"raise budget\.max_calls \(1 calls\).*shards of solutions are left"):
        evaluate(options(lake.uri, more, max_calls=1))
    assert lake.snapshot() == before


def test_dollars_need_prices(tmp_path: Path, options: MakeOptions) -> None:
    with pytest.raises(UsageError, match=r"budget\.max_cost needs the price of offline-teacher in teacher\.prices"):
        options(tmp_path / "lake", max_cost=1).settings()
    priced = options(tmp_path / "lake", {"teacher.prices": {"offline-teacher": [1, 2]}}, max_cost=1)
    assert json.loads(priced.settings().budget.model_dump_json())["max_cost"] == 1
