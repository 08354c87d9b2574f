"""A small Llama made of a lake's text alone."""

import json
import math
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
from toolbench.student.bootstrap import PRESETS, BootstrapConfig, bootstrap
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


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_about_as_many_parameters_as_it_says(name: str) -> None:
    config = BootstrapConfig.preset(name)  # type: ignore[arg-type]
    inner = -(-config.width * 8 // 3 // 32) * 32
    layer = 4 * config.width**2 + 3 * config.width * inner
    total = config.vocabulary * config.width + config.layers * layer
    assert total == pytest.approx(int(name[:-1]) * 1e6, rel=0.35)
