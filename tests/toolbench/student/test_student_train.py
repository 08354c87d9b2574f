"""Training end to end on a tiny Llama."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from student_conversations import HELD_OUT, TRAINING, a_conversation

from toolbench.errors import ToolbenchError
from toolbench.records import Conversation
from toolbench.student import StudentConfig, UnusableConversation, train
from toolbench.student.reply import Student

ADAPTER = "adapter_model.safetensors"


@pytest.fixture
def config(tiny_llama: str) -> StudentConfig:
    return StudentConfig(
        base=tiny_llama, rank=8, alpha=16, dropout=0.1, epochs=5, learning_rate=1e-2, batch_size=4, micro_batch=2,
        precision="fp32",
    )  # fmt: skip


def test_the_loss_falls_and_everything_lies_in_the_folder(
    config: StudentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was tried"))
    seen: list[tuple[str, int, int]] = []
    result = train([*HELD_OUT, *TRAINING], config, tmp_path, lambda *step: seen.append(step))
    assert (result.conversations, result.held_out, result.rejected) == (8, 2, {})
    assert len(result.losses) == 10
    assert result.losses[-1] < 0.7 * result.losses[0]
    assert result.loss_before is not None
    assert result.loss_after is not None
    assert result.loss_after < 0.8 * result.loss_before, "what is common to all is learned, unseen cities are not"
    assert [s for s in seen if s[0] == "train"] == [("train", n, 10) for n in range(1, 11)]
    assert capfd.readouterr() == ("", ""), "nothing breaks into the caller's display"
    figures = json.loads((tmp_path / "metrics.json").read_text())
    assert figures["loss_after"] == result.loss_after
    assert figures["config"]["rank"] == 8
    card = (tmp_path / "README.md").read_text()
    assert f"{result.loss_before:.4f} before, {result.loss_after:.4f} after" in card
    assert "some-teacher" in card
    assert {"adapter_config.json", ADAPTER, "tokenizer.json", "chat_template.jinja"} <= {
        p.name for p in tmp_path.iterdir()
    }


def test_the_saved_adapter_is_the_trained_one(config: StudentConfig, tmp_path: Path) -> None:
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer

    from toolbench.student import sample

    result = train([*TRAINING, *HELD_OUT], config, tmp_path)
    model = AutoPeftModelForCausalLM.from_pretrained(str(tmp_path)).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path))
    total, tokens = 0.0, 0
    for conversation in HELD_OUT:
        made = sample(conversation, tokenizer)
        with torch.no_grad():
            scores = torch.log_softmax(model(torch.tensor([made.input_ids])).logits[0], dim=-1)
        learned = [n for n, label in enumerate(made.labels) if label != -100]
        total -= sum(float(scores[n - 1, made.labels[n]]) for n in learned)
        tokens += len(learned)
    assert total / tokens == pytest.approx(result.loss_after, rel=1e-4)


def test_two_runs_give_the_same_bytes_and_held_out_conversations_no_weight(
    config: StudentConfig, tmp_path: Path
) -> None:
    short = config.model_copy(update={"epochs": 1})
    others = [a_conversation(f"o{n}", "Nowhere", "category", observation="z" * 50) for n in range(3)]
    adapters = []
    for name, held_out, seed in (("one", HELD_OUT, 0), ("two", HELD_OUT, 0), ("three", others, 0), ("four", [], 1)):
        result = train([*held_out, *reversed(TRAINING)], short.model_copy(update={"seed": seed}), tmp_path / name)
        assert (result.loss_before is None) == (not held_out)
        adapters.append((tmp_path / name / ADAPTER).read_bytes())
    assert adapters[0] == adapters[1] == adapters[2] != adapters[3]
    one, two = ((tmp_path / name / "adapter_config.json").read_bytes() for name in ("one", "two"))
    assert one == two
    assert "No conversation was held out" in (tmp_path / "four" / "README.md").read_text()


def test_the_micro_batch_decides_memory_not_the_result(config: StudentConfig, tmp_path: Path) -> None:
    steady = config.model_copy(update={"dropout": 0.0, "epochs": 2})
    losses = [
        train(TRAINING, steady.model_copy(update={"micro_batch": size}), tmp_path / str(size)).losses for size in (1, 4)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_what_is_too_long_is_counted_and_the_base_s_positions_are_a_limit(
    config: StudentConfig, tmp_path: Path
) -> None:
    user = "word " * 1100
    long = a_conversation("long")
    long = replace(long, messages=[replace(m, content=user) if m.role == "user" else m for m in long.messages])
    result = train([*TRAINING, long], config.model_copy(update={"epochs": 1, "max_tokens": 8192}), tmp_path)
    assert (result.conversations, result.rejected) == (8, {"too_long": 1})
    assert "too_long: 1" in (tmp_path / "README.md").read_text()
    with pytest.raises(ToolbenchError, match=r"^None of the training .* more than 1024 tokens"):
        train([long], config, tmp_path)


def test_what_cannot_be_trained_is_one_sentence(
    config: StudentConfig, tmp_path: Path, make_tokenizer: Callable[[str | None], Any]
) -> None:
    mute, empty = mute_base(config, tmp_path, make_tokenizer), tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "file").write_text("")
    out = tmp_path / "out"

    def refused(message: str, conversations: list[Conversation], where: Path = out, **changed: object) -> None:
        with pytest.raises(ToolbenchError, match=message) as caught:
            train(conversations, config.model_copy(update=changed), where)
        assert not isinstance(caught.value, UnusableConversation)
        assert "\n" not in str(caught.value)
        assert not (out / ADAPTER).exists()

    refused("^No conversation belongs to the split `train`", HELD_OUT)
    refused("^No conversation belongs to the split `train`", [])
    refused("^The student's base `.*gone` cannot be loaded \\(no such folder", TRAINING, base=str(tmp_path / "gone"))
    refused("^The student's base `nobody/nothing` cannot be loaded \\(no such folder", TRAINING, base="nobody/nothing")
    refused("^The student's base `.*empty` cannot be loaded", TRAINING, base=str(empty))
    refused("^The chat template of the base `.*mute` shows no functions", TRAINING, base=mute, calls="native")
    refused("has no layers", TRAINING, target_modules=("nonsense",))
    refused("cannot be written to .*file", TRAINING, tmp_path / "file")


def mute_base(config: StudentConfig, folder: Path, make_tokenizer: Callable[[str | None], Any]) -> str:
    """The folder of the tiny base without a chat template."""
    mute = folder / "mute"
    shutil.copytree(config.base, mute)
    (mute / "chat_template.jinja").unlink()
    make_tokenizer(None).save_pretrained(mute)
    return str(mute)


def test_a_base_without_a_chat_template_learns_and_serves_calls_as_text(
    config: StudentConfig, tmp_path: Path, make_tokenizer: Callable[[str | None], Any]
) -> None:
    mute = mute_base(config, tmp_path, make_tokenizer)
    result = train(TRAINING, config.model_copy(update={"base": mute, "epochs": 1}), tmp_path / "adapter")
    assert (result.calls, result.conversations) == ("react", 8)
    assert Student.load(str(tmp_path / "adapter")).how == "react"


def test_turns_may_be_samples_and_give_ups_are_learned_by_choice(config: StudentConfig, tmp_path: Path) -> None:
    gave_up = a_conversation("g0")
    ending = [replace(c, arguments='{"return_type": "give_up_and_restart"}') for c in gave_up.messages[-1].tool_calls]
    gave_up = replace(gave_up, messages=[*gave_up.messages[:-1], replace(gave_up.messages[-1], tool_calls=ending)])
    short = config.model_copy(update={"epochs": 1, "per_turn": True})
    rows = [*TRAINING, *HELD_OUT, gave_up]
    result = train(rows, short, tmp_path / "without")
    assert (result.conversations, result.samples, result.held_out) == (8, 16, 2)
    assert (len(result.losses), result.rejected) == (4, {"gave_up": 1})
    result = train(rows, short.model_copy(update={"give_ups": True}), tmp_path / "with")
    assert (result.conversations, result.samples, result.rejected) == (9, 18, {})


def test_a_missing_package_is_named_with_its_extra(
    config: StudentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(ToolbenchError, match=r"needs packages of the extra `train` .*toolbench\[train\]"):
        train(TRAINING, config, tmp_path)


def test_the_toolllama_preset_is_the_paper_s() -> None:
    paper = StudentConfig.toolllama("base")
    assert paper.model_dump(
        include={"epochs", "learning_rate", "warmup", "schedule", "batch_size", "max_tokens", "rope"}
    ) == {
        "epochs": 2, "learning_rate": 5e-5, "warmup": 0.04, "schedule": "cosine", "batch_size": 64, "max_tokens": 8192,
        "rope": "linear",
    }  # fmt: skip


def test_a_batch_is_made_of_whole_micro_batches() -> None:
    with pytest.raises(ValueError, match="batch_size 8 is no multiple of micro_batch 3"):
        StudentConfig(base="b", batch_size=8, micro_batch=3)
