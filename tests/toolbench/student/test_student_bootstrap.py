"""A small Llama made of a lake's text alone."""

import json
import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from student_conversations import HELD_OUT, TRAINING, UNMARKED, a_conversation
from typer.testing import CliRunner

from toolbench.cli import app
from toolbench.errors import ToolbenchError
from toolbench.lake import Draft, Lake, Spec
from toolbench.records import Conversation
from toolbench.student.bootstrap import CHECKPOINTS, bootstrap
from toolbench.student.bootstrap_config import PRESETS, BootstrapConfig
from toolbench.student.corpus import corpus, tokens

SMALL = BootstrapConfig(
    layers=2, width=64, heads=4, vocabulary=400, context=256, steps=40, batch_size=2, learning_rate=5e-3
)


def texts() -> Iterator[str | Conversation]:
    """Documents and conversations."""
    yield from (f"Weather: Rain in {c.messages[1].content}" for c in TRAINING)
    yield from TRAINING


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_it_learns_and_is_a_base(tmp_path: Path) -> None:
    from toolbench.student import StudentConfig, sample, train
    from toolbench.student.base import load_tokenizer

    seen: list[tuple[str, int, int]] = []
    made = bootstrap(texts, SMALL, tmp_path / "one", lambda *step: seen.append(step))
    assert made.loss_first == pytest.approx(math.log(made.vocabulary), rel=0.1), "nothing is known at first"
    assert made.loss_last < 0.55 * made.loss_first
    assert seen[-1] == ("pre-train", 40, 40)
    assert json.loads((tmp_path / "one" / "bootstrap.json").read_text())["losses"] == made.losses
    tokenizer = load_tokenizer(str(tmp_path / "one"))
    assert tokenizer.decode(tokenizer.encode("Größe 3½ <tool_call>")) == "Größe 3½ <tool_call>"
    labels = [label for label in sample(TRAINING[0], tokenizer).labels if label >= 0]
    assert tokenizer.decode(labels).startswith('<tool_call>\n{"name": "rain_for_weather", "arguments": {"city"')
    config = StudentConfig(base=str(tmp_path / "one"), learning_rate=2e-3, batch_size=2, epochs=2)
    result = train([replace(c, tools="[]") for c in (*TRAINING, *HELD_OUT)], config, tmp_path / "adapter")
    assert result.rejected == {}
    assert result.loss_after is not None
    assert result.loss_before is not None
    assert result.loss_after < result.loss_before


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    short = SMALL.model_copy(update={"steps": 2})
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        bootstrap(texts, short.model_copy(update={"seed": seed}), tmp_path / name)
    one, two, three = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("one", "two", "three"))
    assert one == two != three
    assert (tmp_path / "one" / "tokenizer.json").read_bytes() == (tmp_path / "two" / "tokenizer.json").read_bytes()


def killed(config: BootstrapConfig, folder: Path, at: int) -> None:
    """A run in a process of its own that ends at that step as by `kill -9`."""

    def kill(phase: str, done: int, total: int) -> None:
        if done == at:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        try:
            bootstrap(texts, config, folder, kill)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def test_a_killed_run_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"steps": None, "epochs": 2, "block": 64, "checkpoint_every": 2})
    whole = bootstrap(texts, config, tmp_path / "whole")
    half = whole.steps // 2
    killed(config, tmp_path / "killed", half + 4)
    left = tmp_path / "killed" / CHECKPOINTS
    (newest,) = (p.name for p in left.glob("checkpoint-*"))
    saved = int(newest.removeprefix("checkpoint-"))
    assert half < saved < whole.steps, "in mid epoch"
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    shutil.copytree(left / newest, left / f"checkpoint-{saved + 2}")
    (left / f"checkpoint-{saved + 2}" / "trainer_state.json").write_text('{"epoch": 1.')  # killed while it was written
    seen: list[int] = []
    resumed = bootstrap(texts, config, tmp_path / "killed", lambda _, done, __: seen.append(done))
    assert seen == list(range(saved + 1, whole.steps + 1))
    assert resumed.losses == whole.losses
    for name in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not left.exists(), "of no use any more"
    assert not (tmp_path / "whole" / CHECKPOINTS).exists()


def test_checkpoints_of_other_settings_or_texts_are_not_gone_on_with(tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"steps": 4, "checkpoint_every": 1})

    def first_step(config: BootstrapConfig, read: Callable[[], Iterator[str | Conversation]] = texts) -> int:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(tmp_path / "killed", folder)
        seen: list[int] = []
        bootstrap(read, config, folder, lambda _, done, __: seen.append(done))
        return seen[0]

    killed(config, tmp_path / "killed", 3)
    assert first_step(config) == 3
    assert first_step(config.model_copy(update={"learning_rate": 1e-3})) == 1
    assert first_step(config, lambda: (text for text in (*texts(), "More to read."))) == 1


def test_what_is_held_out_is_never_read(lake: Lake) -> None:
    rows = [*TRAINING, *HELD_OUT, a_conversation("c", "Nowhere", "category")]
    names = [r.id for r in rows]
    spec = Spec(stage="dataset", label="all", partition={"part": "all"}, records=names, content="x", params={})
    draft = Draft()
    draft.add([lake.finish(spec, {Conversation: rows}, taken_in=11, passed_on=11)], ("conversations",))
    lake.publish(draft, "test")
    assert [c.id for c in corpus(lake, lake.snapshot())() if isinstance(c, Conversation)] == [c.id for c in TRAINING]


def test_short_conversations_are_read_without_system_prompt_and_functions(
    make_tokenizer: Callable[[str | None], Any],
) -> None:
    tokenizer = make_tokenizer(UNMARKED)
    (whole,), (short,) = (
        [tokenizer.decode(ids) for ids in tokens(lambda: iter(TRAINING[:1]), tokenizer, form)]
        for form in ("whole", "short")
    )
    assert "Rain in a city" in whole
    assert whole.endswith(short.removeprefix("<|im_start|>"))
    assert "You call functions." not in short
    assert "Rain in a city" not in short
    assert "Now I know." in short


def test_the_command_says_what_it_made(lake: Lake, tmp_path: Path) -> None:
    names = [r.id for r in TRAINING]
    spec = Spec(stage="dataset", label="all", partition={"part": "all"}, records=names, content="x", params={})
    draft = Draft()
    draft.add([lake.finish(spec, {Conversation: TRAINING}, taken_in=8, passed_on=8)], ("conversations",))
    lake.publish(draft, "test")
    arguments = ["student", "bootstrap", "--lake", lake.uri, "--out", str(tmp_path / "base"), "--preset", "1m"]
    size = ["--layers", "1", "--width", "32", "--heads", "2", "--vocabulary", "300", "--context", "64", "--steps", "2"]
    said = CliRunner().invoke(app, [*arguments, *size], catch_exceptions=False).stdout
    assert "2 steps over" in said
    assert "tokens/s" in said
    assert (tmp_path / "base" / "model.safetensors").is_file()
    refused = CliRunner().invoke(app, [*arguments, "--heads", "3"])
    assert "no multiple of twice the 3 heads" in str(refused.exception)
    refused = CliRunner().invoke(app, [*arguments, "--context", "64", "--block", "128"])
    assert "a block of 128 tokens does not fit the context of 64" in str(refused.exception)


def test_too_little_text_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ToolbenchError, match="no text of the split `train`"):
        bootstrap(lambda: iter([]), SMALL, tmp_path)
    with pytest.raises(ToolbenchError, match="do not fill one block of 256"):
        bootstrap(lambda: iter(["Hello"]), SMALL, tmp_path)


def test_a_folder_that_cannot_be_written_is_one_sentence_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    steps: list[int] = []
    with pytest.raises(ToolbenchError, match=r"^The model cannot be written to .*file .*: name another folder\.$"):
        bootstrap(texts, SMALL, tmp_path / "file", lambda _, done, __: steps.append(done))
    assert not steps


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_about_as_many_parameters_as_it_says(name: str) -> None:
    config = BootstrapConfig.preset(name)  # type: ignore[arg-type]
    inner = -(-config.width * 8 // 3 // 32) * 32
    layer = 4 * config.width**2 + 3 * config.width * inner
    total = config.vocabulary * config.width + config.layers * layer
    assert total == pytest.approx(int(name[:-1]) * 1e6, rel=0.35)
