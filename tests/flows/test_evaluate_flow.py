"""evaluate: searched, judged, published, gated; the lake's own solutions stay as they are."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.artifacts import Artifact
from workshop import Factory, Server

from flows.evaluate import evaluate
from toolbench.errors import GateError, UsageError
from toolbench.lake import Lake
from toolbench.tooleval.runs import PassRun, WinRun
from toolbench.tooleval.storing import runs_of

MakeOptions = Callable[..., Any]


def test_a_model_is_evaluated_published_and_held_to_a_gate(
    factory: Factory, tmp_path: Path, options: MakeOptions, honest_teacher: Server
) -> None:
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    lake = Lake(str(tmp_path / "lake"))
    before = lake.snapshot()
    splits = ["G1_category", "G3_instruction"]
    evaluate(options(lake.uri), name="m", splits=splits)
    view = lake.snapshot()
    assert view.flow == "evaluate"
    assert view.entries("solutions") == before.entries("solutions")
    runs = runs_of(lake, view)
    passes = {r.method: r for r in runs if isinstance(r, PassRun)}
    assert passes.keys() == {"react", "dfsdt"}
    queries = {r: [(q.split, q.query_id) for q in run.queries] for r, run in passes.items()}
    assert queries["react"] == queries["dfsdt"] != []
    assert {split for split, _ in queries["react"]} == set(splits)
    assert all(run.splits[-1].missing == [] and run.model == "offline-teacher" for run in passes.values())
    (win,) = (r for r in runs if isinstance(r, WinRun))
    shown = Artifact.get("leaderboard")
    assert shown is not None
    assert all(run.name in str(shown.data) for run in passes.values())
    assert (win.run, win.reference) == (passes["dfsdt"].id, passes["react"].id)
    # Again, with its own result as the reference: nothing is asked, nothing is published, nothing is worse.
    honest_teacher.reset()
    manifest = lake.store.url(f"manifests/{view.number:012d}.json")
    again = {"name": "m", "splits": splits, "least": 0.0, "reference": "m dfsdt"}
    done = evaluate(options(tmp_path / "elsewhere"), manifest=manifest, **again)
    assert (done.snapshot, honest_teacher.asked()) == (view.number, 0)
    more = passes["dfsdt"].splits[-1].pass_rate.mean + 0.001
    state = evaluate(options(lake.uri), name="m", splits=splits, least=more, return_state=True)
    assert state.is_failed()
    with pytest.raises(GateError, match=r"The pass rate of m dfsdt is .*% that were asked for\.$"):
        state.result()
    with pytest.raises(UsageError, match="There is no result 'x'"):
        evaluate(options(lake.uri), splits=splits, reference="x")
