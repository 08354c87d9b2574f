"""A training run that is killed and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.toolbench.retriever.test_retriever_train import CORPUS, HELD_OUT, TRAINING
from toolbench.errors import ToolbenchError
from toolbench.retriever import RetrieverConfig, train

_RUN = """
import sys
from pathlib import Path
from tests.toolbench.retriever.test_retriever_resume import run
run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
"""


def config(base: str) -> RetrieverConfig:
    """Dropout, siblings, mining and validation: everything that a resumed run must do again in the same way."""
    return RetrieverConfig(
        base=base, epochs=10, batch_size=4, learning_rate=1e-2, warmup_steps=0.1, max_tokens=16, siblings=1, mined=1,
        validation=3, evaluations=5, together=True,
    )  # fmt: skip


def run(base: str, folder: Path, checkpoints: Path) -> None:
    """Train as both runs do."""
    catalogue = CORPUS | {"Weather/sky/wind": "the weather of a city", "Music/songs/date": "date of a song"}
    train(TRAINING + HELD_OUT, CORPUS, config(base), folder, catalogue=catalogue, checkpoints=checkpoints)


def test_killed_in_mid_epoch_and_resumed_it_ends_with_the_same_weights(tiny_base: str, tmp_path: Path) -> None:
    run(tiny_base, tmp_path / "undisturbed", tmp_path / "one")
    checkpoints = tmp_path / "two"
    child = subprocess.Popen(
        [sys.executable, "-c", _RUN, tiny_base, str(tmp_path / "killed"), str(checkpoints)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "metrics.json").exists()
    run(tiny_base, tmp_path / "killed", checkpoints)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("undisturbed", "killed")]
    assert weights[0] == weights[1]
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("undisturbed", "killed"))
    assert one["losses"] == two["losses"]
    assert (one["scores"], one["best_step"]) == (two["scores"], two["best_step"])
    assert not checkpoints.exists(), "a finished run leaves none"


def test_checkpoints_of_another_run_are_refused(tiny_base: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps("another"))
    with pytest.raises(ToolbenchError, match="holds the checkpoints of a run with other pairs, documents or settings"):
        run(tiny_base, tmp_path / "out", tmp_path)
