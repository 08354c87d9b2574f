"""How a run goes: packed, killed and resumed, short of memory, stretched, stopped early, merged."""

import json
import os
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from student_conversations import HELD_OUT, TRAINING

from toolbench.errors import ToolbenchError, UsageError
from toolbench.student import Making, StudentConfig, train
from toolbench.student.checkpoints import packed, unpack
from toolbench.student.fitting import make_trainer, smaller
from toolbench.student.merge import merge
from toolbench.student.rope import recall, stretched
from toolbench.student.spool import spool

ADAPTER = "adapter_model.safetensors"


@pytest.fixture
def config(tiny_llama: str) -> StudentConfig:
    return StudentConfig(
        base=tiny_llama, rank=4, alpha=8, dropout=0.1, epochs=2, learning_rate=1e-2, batch_size=4, micro_batch=2,
        precision="fp32",
    )  # fmt: skip


def lines(work: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (work / "metrics.jsonl").read_text().splitlines()]


def test_packed_conversations_do_not_see_each_other(config: StudentConfig, tmp_path: Path) -> None:
    import torch

    from toolbench.student.base import load_model, load_tokenizer

    tokenizer = load_tokenizer(config.base)
    model = load_model(config.base, tokenizer).eval()
    samples = spool([*TRAINING, *HELD_OUT], tokenizer, Making(max_tokens=1024), tmp_path / "samples")
    packing = config.model_copy(update={"packing": True, "micro_batch": 1})
    trainer = make_trainer(model, tokenizer, samples, packing, 1024, tmp_path / "work", [])
    batches = list(trainer.get_train_dataloader())
    assert len(batches) < len(TRAINING), "several share a sequence"
    alone = {tuple(row["input_ids"]): row["labels"] for row in samples.training.dataset.to_list()}
    found = 0
    for batch in batches:
        assert "attention_mask" not in batch, "position ids alone tell samples apart"
        ids, places = batch["input_ids"][0], batch["position_ids"][0]
        starts = [*(n for n, p in enumerate(places) if p == 0), len(ids)]
        with torch.no_grad():
            together = model(input_ids=ids[None], position_ids=places[None], use_cache=False).logits[0]
            for start, end in pairwise(starts):
                apart = model(input_ids=ids[None, start:end]).logits[0]
                assert torch.allclose(together[start:end], apart, atol=1e-4)
                labels = alone[tuple(ids[start:end].tolist())]
                assert batch["labels"][0, start:end].tolist() == [-100, *labels[1:]]
                found += 1
    assert found == len(TRAINING)


def test_a_packed_run_learns(config: StudentConfig, tmp_path: Path) -> None:
    packing = config.model_copy(update={"packing": True, "micro_batch": 1, "batch_size": 1, "epochs": 4})
    result = train([*TRAINING, *HELD_OUT], packing, tmp_path)
    assert len(result.losses) < 4 * len(TRAINING)
    assert result.losses[-1] < 0.8 * result.losses[0]


def test_a_killed_run_goes_on_as_if_nothing_had_been(config: StudentConfig, tmp_path: Path) -> None:
    steady = config.model_copy(update={"epochs": 4, "checkpoint_every": 2})
    rows = [*TRAINING, *HELD_OUT]
    whole = train(rows, steady, tmp_path / "whole", work=tmp_path / "work_whole")

    def until_killed() -> None:
        def kill(phase: str, done: int, total: int) -> None:
            if (phase, done) == ("train", 5):
                os.kill(os.getpid(), signal.SIGKILL)

        train(rows, steady, tmp_path / "killed", kill, work=tmp_path / "work")

    child = os.fork()
    if not child:
        try:
            until_killed()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert not (tmp_path / "killed" / ADAPTER).exists()
    assert [p.name for p in (tmp_path / "work").glob("checkpoint-*")] == ["checkpoint-4"]
    moved = tmp_path / "elsewhere"
    unpack(packed(tmp_path / "work"), moved)
    steps: list[int] = []

    def seen(phase: str, done: int, total: int) -> None:
        if phase == "train":
            steps.append(done)

    resumed = train(rows, steady, tmp_path / "killed", seen, work=moved)
    assert steps == [5, 6, 7, 8]
    assert resumed.losses == whole.losses
    assert (tmp_path / "killed" / ADAPTER).read_bytes() == (tmp_path / "whole" / ADAPTER).read_bytes()
    loss = [(line["step"], line["loss"]) for line in lines(moved) if "loss" in line]
    assert loss == [(line["step"], line["loss"]) for line in lines(tmp_path / "work_whole") if "loss" in line]
    assert {"learning_rate", "grad_norm", "tokens_per_second", "memory", "seconds"} <= set(lines(moved)[-2])
    assert [line["step"] for line in lines(moved) if "eval_loss" in line] == [2, 4, 6, 8]


def test_checkpoints_of_another_run_are_not_taken(config: StudentConfig, tmp_path: Path) -> None:
    every = config.model_copy(update={"checkpoint_every": 1, "epochs": 1})
    train(TRAINING, every, tmp_path / "a", work=tmp_path / "work")
    steps: list[int] = []
    train(TRAINING[:4], every, tmp_path / "b", lambda _, n, __: steps.append(n), work=tmp_path / "work")
    assert steps == [1]


def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ToolbenchError, match="checkpoint in the lake is damaged"):
        unpack(b"nothing", tmp_path)


def test_where_memory_ends_the_micro_batch_is_halved(
    config: StudentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import Trainer

    calm = config.model_copy(update={"dropout": 0.0, "micro_batch": 4, "epochs": 1})
    expected = train(TRAINING, calm.model_copy(update={"micro_batch": 1}), tmp_path / "small").losses
    step: Callable[..., Any] = Trainer.training_step
    sizes: list[int] = []

    def scarce(self: Any, model: Any, inputs: Any, *more: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if len(inputs["input_ids"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate a lot.")
        return step(self, model, inputs, *more)

    monkeypatch.setattr(Trainer, "training_step", scarce)
    result = train(TRAINING, calm, tmp_path / "scarce")
    assert sizes[:2] == [4, 2]
    assert sizes[2:] == [1] * 8, "two steps of four, one after the other"
    assert result.micro_batch == 1
    assert result.losses == pytest.approx(expected, rel=1e-5)
    assert "did not hold a micro-batch of 4" in (tmp_path / "scarce" / "README.md").read_text()


def test_memory_for_not_even_one_is_one_sentence(config: StudentConfig) -> None:
    halved = smaller(config.model_copy(update={"batch_size": 6, "micro_batch": 6}), MemoryError())
    assert (halved.micro_batch, halved.batch_size) == (3, 6)
    with pytest.raises(ToolbenchError, match=r"Memory does not hold 1 of 4096 tokens .* gradient_checkpointing\.$"):
        smaller(config.model_copy(update={"micro_batch": 1}), MemoryError("no more"))


@pytest.mark.parametrize("rope", ["linear", "yarn"])
def test_positions_are_stretched_and_remembered(config: StudentConfig, tmp_path: Path, rope: str) -> None:
    from toolbench.student.base import load_model, load_tokenizer
    from toolbench.student.folder import load_student

    wide = config.model_copy(update={"rope": rope, "max_tokens": 4096, "epochs": 1})
    tokenizer = load_tokenizer(config.base)
    rotary = load_model(config.base, tokenizer, stretched(wide)).model.rotary_emb
    plain = load_model(config.base, tokenizer).model.rotary_emb
    if rope == "linear":
        assert (plain.inv_freq / rotary.inv_freq).tolist() == pytest.approx([4.0] * 8)
    else:
        ratio = (plain.inv_freq / rotary.inv_freq).tolist()
        assert (ratio[0], ratio[-1]) == pytest.approx((1.0, 4.0)), "fast frequencies stay, slow ones are divided"
    train(TRAINING, wide, tmp_path)
    assert recall(tmp_path)["max_position_embeddings"] == 4096
    model, _ = load_student(str(tmp_path))
    assert model.config.rope_parameters["factor"] == 4.0
    assert stretched(wide.model_copy(update={"max_tokens": 1024})) == {}, "it has as many"


def test_it_stops_when_it_gets_no_better_and_keeps_the_best(config: StudentConfig, tmp_path: Path) -> None:
    wild = config.model_copy(
        update={"learning_rate": 3e-1, "epochs": 10, "dropout": 0.0, "patience": 2, "evaluate_every": 1}
    )
    result = train([*TRAINING, *HELD_OUT], wild, tmp_path)
    seen = result.held_out_losses
    assert len(seen) < 20, "it stopped"
    assert seen.index(min(seen)) == len(seen) - 3, "two looks after the best"
    assert result.loss_after == pytest.approx(min(seen), rel=0.05)


def test_less_memory_gives_the_same_gradient(config: StudentConfig, tmp_path: Path) -> None:
    calm = config.model_copy(update={"dropout": 0.0, "epochs": 1})
    plain = train(TRAINING, calm, tmp_path / "plain").losses
    saving = train(TRAINING, calm.model_copy(update={"gradient_checkpointing": True}), tmp_path / "saving").losses
    assert saving == pytest.approx(plain, rel=1e-5)


def test_four_bits_without_a_gpu_are_refused(config: StudentConfig, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ToolbenchError, match="QLoRA needs a GPU"):
        train(TRAINING, config.model_copy(update={"quantize": True}), tmp_path)


def test_the_merged_model_is_the_adapter_over_its_base(config: StudentConfig, tmp_path: Path) -> None:
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    train(TRAINING, config, tmp_path / "adapter")
    merge(tmp_path / "adapter", tmp_path / "merged")
    ids = torch.arange(300)[None]
    with torch.no_grad():
        over, merged, base = (
            kind.from_pretrained(str(folder)).eval()(ids).logits
            for kind, folder in (
                (AutoPeftModelForCausalLM, tmp_path / "adapter"),
                (AutoModelForCausalLM, tmp_path / "merged"),
                (AutoModelForCausalLM, config.base),
            )
        )
    assert (over - merged).abs().max() < 1e-5 * over.abs().max()
    assert (over - base).abs().max() > 1e-2, "the adapter changes something"
    assert (tmp_path / "merged" / "chat_template.jinja").is_file()
    with pytest.raises(UsageError, match="has files already"):
        merge(tmp_path / "adapter", tmp_path / "merged")
    with pytest.raises(UsageError, match="no adapter in"):
        merge(tmp_path / "merged", tmp_path / "new")
