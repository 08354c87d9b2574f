"""A training run that is killed and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from retriever_pairs import run

from toolbench.errors import ToolbenchError

_RUN = """
import sys
from pathlib import Path
from retriever_pairs import run
run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
"""


def test_killed_in_mid_epoch_and_resumed_it_ends_with_the_same_weights(tiny_base: str, tmp_path: Path) -> None:
    run(tiny_base, tmp_path / "undisturbed", tmp_path / "one")
    checkpoints = tmp_path / "two"
    child = subprocess.Popen(
        [sys.executable, "-c", _RUN, tiny_base, str(tmp_path / "killed"), str(checkpoints)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        stderr=subprocess.DEVNULL,
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
