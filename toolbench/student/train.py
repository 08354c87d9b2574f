"""Train a LoRA adapter on the training conversations; measure the loss before and after on the held-out ones."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from toolbench.errors import ToolbenchError
from toolbench.prompts import load as load_template
from toolbench.records import Conversation
from toolbench.student.base import bf16, load_model, load_tokenizer, quiet
from toolbench.student.config import StudentConfig
from toolbench.student.samples import IGNORED, Sample, UnusableConversation, sample

Progress = Callable[[str, int, int], None]
"""Called with a phase (`train`, `evaluate`), the units done and the units in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a training run made and how good it is; `metrics.json` holds the same."""

    loss_before: float | None
    """Mean cross entropy of the base on the held-out conversations, in nats a learned token; None without any."""
    loss_after: float | None
    """The same with the adapter."""
    conversations: int
    """Conversations trained on."""
    held_out: int
    """Conversations the two losses are measured on."""
    rejected: dict[str, int]
    """Conversations of either kind that were left out, by reason: too_long, template, nothing_to_learn."""
    learned_tokens: int
    """Tokens of one epoch that carry loss."""
    read_tokens: int
    """Tokens of one epoch in all."""
    trainable_parameters: int
    teachers: list[str]
    """The models that wrote the training conversations."""
    seconds: float
    losses: list[float] = field(default_factory=list)
    """The training loss of each step, in nats a learned token."""


@dataclass(slots=True)
class _Samples:
    """The conversations as samples, by what they are for."""

    training: list[Sample] = field(default_factory=list)
    held_out: list[Sample] = field(default_factory=list)
    teachers: set[str] = field(default_factory=set)
    rejected: Counter[str] = field(default_factory=Counter)


def train(
    conversations: Iterable[Conversation], config: StudentConfig, folder: Path, progress: Progress | None = None
) -> TrainResult:
    """Tune an adapter on the conversations of split `train`; those of all other splits only measure it.

    `folder` gets the adapter (safetensors), the tokenizer with its chat template, a model card and, last,
    `metrics.json`. On a GPU where there is one. On one CPU, equal inputs give equal files, times apart. Seeds Python's,
    NumPy's and torch's global generators.

    Raises ToolbenchError if no conversation can be trained on, a package or the base is missing, its tokenizer has no
    chat template, or `folder` cannot be written.
    """
    started = time.monotonic()
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
    chosen = sorted(conversations, key=lambda c: c.id)
    if not any(c.split == "train" for c in chosen):
        raise ToolbenchError("No conversation belongs to the split `train`: annotate instructions of that split first.")
    tokenizer = load_tokenizer(config.base)
    model = load_model(config.base, tokenizer)
    samples = _samples(chosen, tokenizer, _limit(model, config))
    adapted = _with_adapter(model, config)
    trainer = _trainer(adapted, samples.training, config, folder, _Collate(tokenizer.pad_token_id or 0), progress)
    before = _loss(trainer, samples.held_out, progress)
    with quiet():
        trainer.train()
    after = _loss(trainer, samples.held_out, progress)
    result = TrainResult(
        loss_before=before,
        loss_after=after,
        conversations=len(samples.training),
        held_out=len(samples.held_out),
        rejected=dict(sorted(samples.rejected.items())),
        learned_tokens=sum(label != IGNORED for s in samples.training for label in s.labels),
        read_tokens=sum(len(s.input_ids) for s in samples.training),
        trainable_parameters=sum(p.numel() for p in adapted.parameters() if p.requires_grad),
        teachers=sorted(samples.teachers),
        seconds=time.monotonic() - started,
        losses=[entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
    )
    _write(folder, adapted, tokenizer, config, result)
    return result


def _limit(model: Any, config: StudentConfig) -> int:
    """The longest sample in tokens: what was asked for, but never more positions than the base was made for."""
    return min(config.max_tokens, getattr(model.config, "max_position_embeddings", None) or config.max_tokens)


def _samples(conversations: Sequence[Conversation], tokenizer: Any, max_tokens: int) -> _Samples:
    """Raises ToolbenchError with the first rejection's sentence if no training conversation is left."""
    samples = _Samples()
    first: UnusableConversation | None = None
    for conversation in conversations:
        learned = conversation.split == "train"
        try:
            made = sample(conversation, tokenizer, max_tokens)
        except UnusableConversation as error:
            samples.rejected[error.reason] += 1
            if learned:
                first = first or error
            continue
        (samples.training if learned else samples.held_out).append(made)
        if learned:
            samples.teachers.add(conversation.model)
    if not samples.training:
        raise ToolbenchError(f"None of the training conversations can be used, the first for this reason: {first}")
    return samples


def _with_adapter(model: Any, config: StudentConfig) -> Any:
    """The model with a fresh adapter, which changes nothing yet: one of its two matrices is zero."""
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import set_seed

    set_seed(config.seed)
    targets = config.target_modules
    lora = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
    )
    try:
        with quiet():
            return get_peft_model(model, lora)
    except ValueError as error:
        reason = (str(error).strip().splitlines() or ["unknown"])[0].rstrip(".")
        raise ToolbenchError(
            f"The base `{config.base}` has no layers {targets!r} for an adapter ({reason}): set target_modules to "
            "`all-linear` or to names of its linear layers."
        ) from error


@dataclass(frozen=True, slots=True)
class _Collate:
    """Samples as one batch of tensors of shape (samples, longest), padded on the right."""

    padding: int

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        import torch

        longest = max(len(s.input_ids) for s in samples)
        rows: dict[str, list[list[int]]] = {"input_ids": [], "labels": [], "attention_mask": []}
        for made in samples:
            missing = longest - len(made.input_ids)
            rows["input_ids"].append(made.input_ids + [self.padding] * missing)
            rows["labels"].append(made.labels + [IGNORED] * missing)
            rows["attention_mask"].append([1] * len(made.input_ids) + [0] * missing)
        return {name: torch.tensor(values) for name, values in rows.items()}


def _trainer(
    model: Any, samples: list[Sample], config: StudentConfig, folder: Path, collate: _Collate, progress: Progress | None
) -> Any:
    from transformers import PrinterCallback, Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.micro_batch,
        per_device_eval_batch_size=config.micro_batch,
        gradient_accumulation_steps=config.batch_size // config.micro_batch,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup,  # below 1: a share of all steps
        bf16=bf16(),
        seed=config.seed,
        save_strategy="no",
        logging_strategy="steps",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    with quiet():
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=samples,  # anything with a length and an index serves
            data_collator=collate,
            callbacks=[_reporting(progress)] if progress else None,
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _reporting(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Reporting(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress("train", state.global_step, state.max_steps)

    return Reporting()


def _loss(trainer: Any, samples: Sequence[Sample], progress: Progress | None) -> float | None:
    """Mean cross entropy of a learned token over all samples; the Trainer's own would weigh each batch alike."""
    import torch

    if not samples:
        return None
    total, tokens = 0.0, 0
    model, size = trainer.model, trainer.args.per_device_eval_batch_size
    model.eval()
    for start in range(0, len(samples), size):
        batch = trainer._prepare_inputs(trainer.data_collator(samples[start : start + size]))
        # The first token is predicted from nothing, so a label on it carries no loss.
        count = int((batch["labels"][:, 1:] != IGNORED).sum())
        with torch.no_grad(), trainer.compute_loss_context_manager():
            total += float(model(**batch).loss) * count
        tokens += count
        if progress:
            progress("evaluate", min(start + size, len(samples)), len(samples))
    return total / tokens


def _write(folder: Path, model: Any, tokenizer: Any, config: StudentConfig, result: TrainResult) -> None:
    card = load_template("toolbench.student", "card").render(config=config, result=result)
    figures = json.dumps({"config": config.model_dump(mode="json"), **asdict(result)}, indent=2) + "\n"
    for lora in model.peft_config.values():
        lora.target_modules = sorted(lora.target_modules)  # a set: its order would differ from run to run
    with _written(folder), quiet():
        # No token is ever added, so there are no embeddings to save; peft would look for the base's on the network.
        model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
        tokenizer.save_pretrained(str(folder))
        (folder / "README.md").write_text(card + "\n", encoding="utf-8")
        (folder / "metrics.json").write_text(figures, encoding="utf-8")


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ToolbenchError(f"The student cannot be written to {folder} ({error}): name another folder.") from error
