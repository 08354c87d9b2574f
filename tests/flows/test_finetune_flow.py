"""The student as a flow: refused without a GPU, trained and published where a CPU is meant."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client

from flows.finetune import finetune_student
from toolbench.errors import ToolbenchError
from toolbench.lake import Draft, Lake, Spec
from toolbench.records import Conversation, FunctionCall, Message
from toolbench.student import MODEL


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
    from toolbench.student.bootstrap import BootstrapConfig, bootstrap

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
    assert view.models[MODEL].metrics["loss_after"] < view.models[MODEL].metrics["loss_before"]
    with get_client(sync_client=True) as client:
        keys = {artifact.key for artifact in client.read_artifacts()}
    assert {"student", "student-metrics", "student-progress"} <= keys
    assert not lake.store.list("checkpoints/"), "nothing is left of what was only for a kill"
