"""The optimisation itself, by sentence-transformers' trainer. Imported by `train` alone: this imports torch."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets.arrow_dataset import Dataset
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from transformers import PrinterCallback, TrainerCallback

from toolbench.encoder import Encoder, Progress, quiet
from toolbench.records import RetrievalPair
from toolbench.retriever.checkpoints import last, processes, write
from toolbench.retriever.collating import Assembler, Collator
from toolbench.retriever.config import RetrieverConfig
from toolbench.retriever.loss import CachedRankingLoss, RankingLoss
from toolbench.retriever.mining import Miner

Score = Callable[[Encoder], float]
"""How good an encoder is on the validation queries."""

_SAVES = 20
"""Checkpoints of a run: a kill costs a twentieth of it at most."""


@dataclass(slots=True)
class Fitted:
    """What happened on the way."""

    losses: list[float]
    """The training loss of each step."""
    scores: dict[int, float] = field(default_factory=dict)
    """By step, the validation score."""
    best_step: int | None = None
    """The step whose weights were kept; None: the last one's."""


class _Trainer(SentenceTransformerTrainer):
    def get_batch_sampler(self, dataset: Any, *_: Any, **__: Any) -> Any:
        """The batches are planned already: a row is one. All processes get equally many."""
        return [[i] for i in range(len(dataset) - len(dataset) % self.args.world_size)]

    def add_model_card_callback(self, *_: Any) -> None:
        """We write our own card; theirs would look at every text for its statistics."""


def fit(
    encoder: Encoder,
    pairs: Sequence[RetrievalPair],
    batches: Sequence[Sequence[int]],
    miner: Miner,
    config: RetrieverConfig,
    folder: Path,
    score: Score | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Train the encoder in place on `batches` of `pairs`, going on where a checkpoint in `folder` stops.

    The checkpoints stay there; the caller removes them once the model is written.
    """
    fitted = Fitted([])
    base = {name: value.detach().cpu().clone() for name, value in encoder.model.state_dict().items()}
    watching: list[TrainerCallback] = [_Steps(encoder, miner, progress)]
    if score:
        watching.append(_Best(encoder, score, folder, fitted, config.evaluations))
    loss = (CachedRankingLoss if config.cached else RankingLoss)(
        encoder.model, config.scale, config.chunk, config.matryoshka
    )
    with quiet():
        trainer = _Trainer(
            model=encoder.model,
            args=_arguments(encoder, len(batches) // processes(), config, folder),
            train_dataset=Dataset.from_dict({"batch": list(range(len(batches)))}),
            data_collator=Collator(encoder.model, Assembler(pairs), batches, miner.negatives),  # type: ignore[arg-type]
            loss=loss,
            callbacks=watching,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=last(folder))
        # As it was: without the autocasting that the trainer wraps a model's `forward` in.
        encoder.model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
        trainer.accelerator.wait_for_everyone()
    fitted.losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    if fitted.best_step is not None:
        encoder.model.load_state_dict(Encoder.load(str(folder / "best")).model.state_dict())
    _mix(encoder, base, config.trained_share)
    encoder.model.eval()
    return fitted


def _mix(encoder: Encoder, base: dict[str, torch.Tensor], share: float) -> None:
    """The encoder's weights, averaged with those it had before."""
    if share < 1:
        trained = encoder.model.state_dict()
        for name, value in base.items():
            if value.is_floating_point():
                trained[name].mul_(share).add_(value.to(trained[name].device), alpha=1 - share)


class _Steps(TrainerCallback):
    """Mines when its time has come, and reports."""

    def __init__(self, encoder: Encoder, miner: Miner, progress: Progress | None) -> None:
        self._encoder, self._miner, self._progress = encoder, miner, progress

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._miner.resume(state.global_step * args.world_size, args.world_size)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._miner.due(state.global_step * args.world_size):
            self._miner.mine(self._encoder, state.global_step * args.world_size, self._progress)
            self._encoder.model.train()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._progress and state.is_world_process_zero:
            self._progress("train", state.global_step, state.max_steps)


class _Best(TrainerCallback):
    """Measures now and then, and keeps the best weights in `best`."""

    def __init__(self, encoder: Encoder, score: Score, folder: Path, fitted: Fitted, times: int) -> None:
        self._encoder, self._score, self._fitted, self._times = encoder, score, fitted, times
        self._place, self._table = folder / "best", folder / "scores.json"

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._table.exists():
            known = json.loads(self._table.read_text(encoding="utf-8"))
            self._fitted.scores = {int(step): value for step, value in known["scores"].items()}
            self._fitted.best_step = known["best_step"]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        step, scores = state.global_step, self._fitted.scores
        # What was measured before a kill has the same weights again, and the same score.
        every = max(1, state.max_steps // self._times)
        if (step % every and step != state.max_steps) or step in scores:
            return
        value = self._score(self._encoder)
        self._encoder.model.train()
        best = max(scores.values(), default=None)
        scores[step] = value
        if best is None or value > best:
            self._fitted.best_step = step
            if state.is_world_process_zero:
                self._encoder.save(self._place)
        if state.is_world_process_zero:
            table = {"scores": scores, "best_step": self._fitted.best_step}
            write(self._table, table)


def _arguments(
    encoder: Encoder, steps: int, config: RetrieverConfig, folder: Path
) -> SentenceTransformerTrainingArguments:
    warmup = config.warmup_steps if config.warmup_steps >= 1 else config.warmup_steps * steps
    return SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        # The trainer's one epoch is the whole plan: our epochs may differ in batches, and its schedule needs the sum.
        num_train_epochs=1,
        per_device_train_batch_size=1,
        learning_rate=config.learning_rate,
        warmup_steps=round(min(warmup, max(1.0, steps / 10))),
        seed=config.seed,
        bf16=config.precision == "bf16" or (config.precision == "auto" and _has_bf16(encoder.model.device.type)),
        fp16=config.precision == "fp16",
        use_cpu=encoder.model.device.type == "cpu",
        save_strategy="steps",
        save_steps=max(1, steps // _SAVES),
        save_total_limit=1,
        logging_strategy="steps",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def _has_bf16(device: str) -> bool:
    """Whether bf16 is fast here, not emulated."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    said = torch.cpu.get_capabilities() if device == "cpu" else {}
    return bool(said.get("avx512_bf16") or said.get("amx_bf16"))
