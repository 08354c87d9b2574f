"""Train a LoRA adapter on the training conversations; measure the loss before and after on the held-out ones."""

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from toolbench.digests import digest
from toolbench.errors import ToolbenchError
from toolbench.prompts import load as load_template
from toolbench.records import Conversation
from toolbench.student.base import load_config, load_model, load_tokenizer, quiet
from toolbench.student.checkpoints import newest
from toolbench.student.config import StudentConfig
from toolbench.student.fitting import Progress, make_trainer, one_first, processes, ran_out, smaller, watching
from toolbench.student.rope import remember, stretched
from toolbench.student.samples import IGNORED, Making
from toolbench.student.spool import Samples, Spooled, batches, spool
from toolbench.student.templates import Style, choose


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a training run made and how good it is; `metrics.json` holds the same."""

    loss_before: float | None
    """Mean cross entropy of the base on the held-out conversations, in nats a learned token; None without any."""
    loss_after: float | None
    """The same with the adapter."""
    calls: Style
    """How the student writes its calls."""
    conversations: int
    """Conversations trained on."""
    samples: int
    """What they are trained on as: as many, unless each turn is one."""
    held_out: int
    """Conversations the two losses are measured on."""
    rejected: dict[str, int]
    """Samples of either kind that were left out, by reason: too_long, template, nothing_to_learn, gave_up."""
    learned_tokens: int
    """Tokens of one epoch that carry loss."""
    read_tokens: int
    """Tokens of one epoch in all."""
    trainable_parameters: int
    teachers: list[str]
    """The models that wrote the training conversations."""
    seconds: float
    micro_batch: int
    """What memory allowed of the configuration's."""
    losses: list[float] = field(default_factory=list)
    """The training loss of each step, in nats a learned token."""
    held_out_losses: list[float] = field(default_factory=list)
    """The Trainer's mean over held-out batches, at each look while it trained."""


def train(
    conversations: Iterable[Conversation],
    config: StudentConfig,
    folder: Path,
    progress: Progress | None = None,
    *,
    work: Path | None = None,
    saved: Callable[[Path], None] | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Tune an adapter on the conversations of split `train`; those of all other splits only measure it.

    `folder` gets the adapter (safetensors), the tokenizer with its chat template, a model card and, last,
    `metrics.json`. On a GPU where there is one. On one CPU, equal inputs give equal files, times apart. Seeds Python's,
    NumPy's and torch's global generators. Where memory ends, the micro-batch is halved and the step begins again.

    `work`: where checkpoints and `metrics.jsonl` lie while it runs, by default a folder that does not outlive it; a run
    that was killed goes on from the newest checkpoint there. `saved` is called with it after each checkpoint.
    `lineage`: what the model card says of the data's origin, by name.

    Raises ToolbenchError if no conversation can be trained on, a package or the base is missing, calls cannot be
    written as they should be, memory does not hold one sample, or `folder` cannot be written.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        with _written(folder):
            folder.mkdir(parents=True, exist_ok=True)
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tokenizer = load_tokenizer(config.base, bare=True)
        style = choose(tokenizer, config.calls)
        rope = stretched(config)
        limit = _limit(config, rope)
        making = Making(max_tokens=limit, per_turn=config.per_turn, give_ups=config.give_ups)
        samples = spool(conversations, tokenizer, making, place / "samples")
        trainer, before, held = _fit(samples, tokenizer, config, rope, limit, work or place / "work", progress, saved)
        after = loss(trainer, samples.held_out, progress)
        result = TrainResult(
            loss_before=before,
            loss_after=after,
            calls=style,
            conversations=samples.training.conversations,
            samples=samples.training.count,
            held_out=samples.held_out.conversations,
            rejected=samples.rejected,
            learned_tokens=samples.training.learned,
            read_tokens=samples.training.read,
            trainable_parameters=sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
            teachers=samples.teachers,
            seconds=time.monotonic() - started,
            micro_batch=held.micro_batch,
            losses=[entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
            held_out_losses=[e["eval_loss"] for e in trainer.state.log_history if "eval_loss" in e],
        )
        _write(folder, trainer, tokenizer, config, result, rope, lineage or {})
    return result


def _limit(config: StudentConfig, rope: Mapping[str, Any]) -> int:
    """The longest sample in tokens: what was asked for, but never more positions than the base has."""
    if rope:
        return config.max_tokens
    return min(config.max_tokens, getattr(load_config(config.base), "max_position_embeddings", None) or 2**31)


def _fit(
    samples: Samples,
    tokenizer: Any,
    config: StudentConfig,
    rope: Mapping[str, Any],
    limit: int,
    work: Path,
    progress: Progress | None,
    saved: Callable[[Path], None] | None,
) -> tuple[Any, float | None, StudentConfig]:
    """The trainer after training, the held-out loss before, and the configuration that memory allowed."""
    run = digest([config.model_dump(mode="json"), samples.training.digest, samples.held_out.digest, processes()])
    before: float | None = None
    measured = False
    while True:
        with _written(work), one_first():
            checkpoint = newest(work, run)
        model = _with_adapter(load_model(config.base, tokenizer, rope, quantize=config.quantize), config)
        watch = watching(work, samples, config, progress, saved)
        trainer = make_trainer(model, tokenizer, samples, config, limit, work, [watch])
        try:
            if not measured:
                before, measured = loss(trainer, samples.held_out, progress), True
            with quiet():
                trainer.train(resume_from_checkpoint=checkpoint)
        except Exception as error:
            if not ran_out(error):
                raise
            config = smaller(config, error)
            del trainer, model, watch
            _let_go()
            continue
        return trainer, before, config


def _let_go() -> None:
    """Give back what a failed try held."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


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
    if config.quantize:
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
            model, use_gradient_checkpointing=config.gradient_checkpointing
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


def loss(trainer: Any, held_out: Spooled, progress: Progress | None = None) -> float | None:
    """Mean cross entropy of a learned token over all samples; the Trainer's own would weigh each batch alike."""
    import torch

    if not held_out.count:
        return None
    total, tokens, done = 0.0, 0, 0
    model = trainer.model
    padding = trainer.processing_class.pad_token_id
    model.eval()
    for rows in batches(held_out, trainer.args.per_device_eval_batch_size):
        longest = max(len(row["input_ids"]) for row in rows)
        padded = {
            "input_ids": [row["input_ids"] + [padding] * (longest - len(row["input_ids"])) for row in rows],
            "labels": [row["labels"] + [IGNORED] * (longest - len(row["labels"])) for row in rows],
            "attention_mask": [[n < len(row["input_ids"]) for n in range(longest)] for row in rows],
        }
        batch = trainer._prepare_inputs({name: torch.tensor(values) for name, values in padded.items()})
        # The first token is predicted from nothing, so a label on it carries no loss.
        count = int((batch["labels"][:, 1:] != IGNORED).sum())
        with torch.no_grad(), trainer.compute_loss_context_manager():
            total += float(model(**batch).loss) * count
        tokens += count
        done += len(rows)
        if progress:
            progress("evaluate", done, held_out.count)
    return total / tokens


def _write(
    folder: Path,
    trainer: Any,
    tokenizer: Any,
    config: StudentConfig,
    result: TrainResult,
    rope: Mapping[str, Any],
    lineage: Mapping[str, Any],
) -> None:
    """All files of the student. Shards of the adapter on several GPUs are gathered; one process writes."""
    model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if processes() > 1 else None
    if not trainer.is_world_process_zero():
        return
    card = load_template("toolbench.student", "card").render(config=config, result=result, lineage=lineage, rope=rope)
    figures = json.dumps({"config": config.model_dump(mode="json"), **asdict(result)}, indent=2) + "\n"
    for lora in model.peft_config.values():
        lora.target_modules = sorted(lora.target_modules)  # a set: its order would differ from run to run
    with _written(folder), quiet():
        # No token is ever added, so there are no embeddings to save; peft would look for the base's on the network.
        model.save_pretrained(str(folder), state_dict=state, safe_serialization=True, save_embedding_layers=False)
        tokenizer.save_pretrained(str(folder))
        remember(folder, rope)
        (folder / "README.md").write_text(card + "\n", encoding="utf-8")
        (folder / "metrics.json").write_text(figures, encoding="utf-8")


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ToolbenchError(f"The student cannot be written to {folder} ({error}): name another folder.") from error
