"""The student as a flow: refused without a GPU, trained and published where a CPU is meant, promoted by ToolEval."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from workshop import Factory, Server

from flows.finetune import finetune_student
from flows.promote import promote_student
from toolbench.errors import LakeError, ToolbenchError
from toolbench.lake import Draft, Lake, Spec
from toolbench.records import Conversation, FunctionCall, Message
from toolbench.student import MODEL
from toolbench.student.promotion import NEWEST
from toolbench.tooleval.runs import PassRun
from toolbench.tooleval.storing import runs_of


def conversation(name: str, split: Any) -> Conversation:
    answer = json.dumps({"return_type": "give_answer", "final_answer": f"It rains in {name}."})
    call = FunctionCall(id="call00001", name="Finish", arguments=answer)
    return Conversation(
        id=name, instruction_id=name, solution_id=name, group="I1", category="Weather", collection="", split=split,
        tools="[]", model="some-teacher",
        messages=[
            Message(role="user", content=f"Does it rain in {name}?"),
            Message(role="assistant", train=True, tool_calls=[call]),
        ],
    )  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    rows = [conversation(f"city{n}", "train" if n < 8 else "instruction") for n in range(10)]
    names = [r.id for r in rows]
    spec = Spec(stage="dataset", label="all", partition={"part": "all"}, records=names, content="x", params={})
    found = Lake(str(tmp_path / "lake"))
    draft = Draft()
    draft.add([found.finish(spec, {Conversation: rows}, taken_in=10, passed_on=10)], ("conversations",))
    found.publish(draft, "test")
    return found


def test_it_is_refused_without_a_gpu_and_published_where_a_cpu_is_meant(
    lake: Lake, tmp_path: Path, options: Callable[..., Any]
) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    from toolbench.student.bootstrap import bootstrap
    from toolbench.student.bootstrap_config import BootstrapConfig

    shape = BootstrapConfig(layers=1, width=32, heads=2, vocabulary=400, context=256, steps=1, batch_size=1)
    bootstrap(lambda: iter([conversation(f"city{n}", "train") for n in range(8)]), shape, tmp_path / "base")
    base, chosen = str(tmp_path / "base"), options(lake.uri)
    if not torch.cuda.is_available():
        with pytest.raises(ToolbenchError, match=r"no GPU .* allow_cpu"):
            finetune_student(chosen, base)
        assert MODEL not in lake.snapshot().models
    done = finetune_student(
        chosen, base, preset="quick", training={"epochs": 2, "batch_size": 4, "learning_rate": 0.01}, allow_cpu=True
    )
    view = lake.snapshot()
    assert (done.snapshot, view.flow) == (view.number, "finetune-student")
    assert view.models[MODEL] == view.models[NEWEST]
    assert view.models[MODEL].metrics["loss_after"] < view.models[MODEL].metrics["loss_before"]
    assert "no instructions are held out to compare it" in view.models[MODEL].metrics["decision"]["sentence"]
    with get_client(sync_client=True) as client:
        keys = {artifact.key for artifact in client.read_artifacts()}
    assert {"student", "student-metrics", "student-progress"} <= keys
    assert not lake.store.list("checkpoints/"), "nothing is left of what was only for a kill"


def test_the_newest_student_serves_unless_it_is_worse(
    factory: Factory,
    tmp_path: Path,
    options: Callable[..., Any],
    honest_teacher: Server,
    start_teacher: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    lake, base = Lake(str(tmp_path / "lake")), tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    refusing = start_teacher(refusal_rate=1.0)
    able, unable = "a" * 16, "b" * 16
    asked: list[str] = []

    @contextmanager
    def served(folder: str, name: str, moved: str) -> Iterator[str]:
        asked.append(name)
        assert (Path(folder) / ("config.json" if name.startswith("base") else "README.md")).is_file()
        yield f"{(honest_teacher if name == f'student-{able[:12]}' else refusing).url}/v1"

    monkeypatch.setattr("flows.promote.served_student", served)

    def trained(spec: str) -> None:
        folder = tmp_path / spec
        folder.mkdir()
        (folder / "README.md").write_text("# Student\n")
        (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
        lake.publish(Draft(models={NEWEST: lake.put_model(MODEL, spec, folder, {"conversations": 3})}), "test")

    chosen = options(lake.uri)
    with pytest.raises(LakeError, match=r"has no student: run `toolbench student train` first"):
        promote_student(chosen)
    trained(able)
    done = promote_student(chosen, queries=8)
    view = lake.snapshot()
    assert (view.number, view.flow) == (done.snapshot, "promote-student")
    assert [name.partition("-")[0] for name in asked] == ["student", "base"]
    serves = view.models[MODEL]
    assert (serves.spec, serves) == (able, view.models[NEWEST])
    measured, decision = serves.metrics["measured"], serves.metrics["decision"]
    assert (measured["trained"]["queries"], measured["base"]["queries"]) == (8, 8)
    assert measured["trained"]["solved"] > measured["base"]["solved"] == 0
    assert decision["gain"]["low"] > 0
    assert decision["sentence"].startswith(f"{able} serves in place of its base: pass rate +")
    card = (lake.get_model(serves, tmp_path / "card") / "README.md").read_text()
    assert card.startswith("# Student\n\n## ToolEval\n\n" + decision["sentence"])
    assert f"| trained | react | {measured['trained']['solved']} of 8 |" in card
    assert len([run for run in runs_of(lake, view) if isinstance(run, PassRun)]) == 2
    promote_student(chosen, queries=8)
    assert lake.snapshot() == view, "it serves already"
    trained(unable)
    promote_student(chosen, queries=8)
    view = lake.snapshot()
    assert (view.models[MODEL], view.models[NEWEST].spec) == (serves, unable)
    assert asked[2:] == [f"student-{unable[:12]}", f"student-{able[:12]}"]
    decision = view.models[NEWEST].metrics["decision"]
    assert decision["sentence"].startswith(f"{able} goes on serving: {unable} is worse than {able} beyond the interval")
    assert decision["gain"]["high"] < 0
    honest_teacher.reset()
    again = promote_student(chosen, queries=8)
    assert (again.snapshot, honest_teacher.asked()) == (view.number, 0), "what was asked once is not asked again"
