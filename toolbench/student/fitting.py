"""TRL's trainer over samples that are tokens already: set up, watched, resumed, and made smaller where memory ends."""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolbench.errors import ToolbenchError
from toolbench.student.base import bf16, quiet, require
from toolbench.student.config import StudentConfig
from toolbench.student.spool import Samples

Progress = Callable[[str, int, int], None]
"""Called with a phase (`train`, `evaluate`), the units done and the units in all."""

METRICS = "metrics.jsonl"
"""One line a step, while it runs."""


def make_trainer(
    model: Any, tokenizer: Any, samples: Samples, config: StudentConfig, limit: int, work: Path, callbacks: list[Any]
) -> Any:
    """An SFTTrainer that learns the labelled tokens of `samples`; checkpoints go below `work`.

    `limit`: tokens of a packed sequence. With packing, TRL puts whole samples together by best fit, and tells them
    apart by position ids that start again: attention of any implementation stays within a sample.
    """
    import torch
    from transformers import EarlyStoppingCallback, PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    held_out = samples.held_out.dataset
    every = config.evaluate_every
    looks = "no" if held_out is None else "steps" if every else "epoch"
    stops = config.patience is not None and held_out is not None
    with quiet():
        arguments = SFTConfig(
            output_dir=str(work),
            num_train_epochs=config.epochs,
            max_steps=config.steps or -1,
            per_device_train_batch_size=config.micro_batch,
            per_device_eval_batch_size=config.micro_batch,
            gradient_accumulation_steps=accumulation(config),
            learning_rate=config.learning_rate,
            lr_scheduler_type=config.schedule,
            warmup_steps=config.warmup,  # below 1: a share of all steps
            bf16=bf16(config.precision),
            use_cpu=not torch.cuda.is_available(),
            seed=config.seed,
            gradient_checkpointing=config.gradient_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
            packing=config.packing,
            eval_packing=False,
            max_length=limit if config.packing else None,  # samples are short enough as they come
            eval_steps=every,
            save_strategy=looks if stops else "steps",
            save_steps=every if stops and every else config.checkpoint_every,
            save_total_limit=2 if stops else 1,
            load_best_model_at_end=stops,
            metric_for_best_model="eval_loss" if stops else None,
            greater_is_better=False if stops else None,
            prediction_loss_only=True,
            logging_strategy="steps",
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            ddp_find_unused_parameters=False,  # every adapter is used in every pass
            eval_strategy=looks,
        )
        trainer = SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=samples.training.dataset,
            eval_dataset=held_out,
            processing_class=tokenizer,
            callbacks=[*callbacks, *([EarlyStoppingCallback(config.patience)] if stops and config.patience else [])],
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


def processes() -> int:
    """How many processes train together, as `accelerate launch` started them."""
    return int(_state().num_processes)


@contextmanager
def one_first() -> Iterator[None]:
    """The block, done by one of the processes before the others: for what all of them find in a folder."""
    require()
    with _state().main_process_first():
        yield


def _state() -> Any:
    """Accelerate's view of the processes; without a GPU it has to be told so to see more than one."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())


def accumulation(config: StudentConfig) -> int:
    """Micro-batches that one process adds up for a step. Raises ToolbenchError if the processes cannot share one."""
    together = config.micro_batch * processes()
    if config.batch_size % together:
        raise ToolbenchError(
            f"A batch of {config.batch_size} cannot be shared by {processes()} processes with {config.micro_batch} "
            f"each at once: set batch_size to a multiple of {together}."
        )
    return config.batch_size // together


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ended, on a GPU or off it."""
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, Exception) and should_reduce_batch_size(error))


def smaller(config: StudentConfig, error: BaseException) -> StudentConfig:
    """Half the micro-batch, and so twice the accumulation: the same steps. Raises ToolbenchError at one."""
    if config.micro_batch == 1 or processes() > 1:
        raise ToolbenchError(
            f"Memory does not hold {config.micro_batch} of {config.max_tokens} tokens ({_first_line(error)}): lower "
            "max_tokens" + (", or micro_batch" if config.micro_batch > 1 else "") + ", or set gradient_checkpointing."
        ) from error
    half = next(n for n in range(config.micro_batch // 2, 0, -1) if config.batch_size % n == 0)
    return config.model_copy(update={"micro_batch": half})


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def watching(work: Path, samples: Samples, config: StudentConfig, progress: Progress | None, saved: Any) -> Any:
    """A callback that writes `metrics.jsonl`, reports progress, and calls `saved` with each checkpoint's folder."""
    import torch
    from transformers import TrainerCallback

    class Watching(TrainerCallback):
        def __init__(self) -> None:
            self.started = time.monotonic()
            self.from_epoch = 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.started, self.from_epoch = time.monotonic(), state.epoch or 0.0
            if state.is_world_process_zero:
                _cut(work / METRICS, state.global_step)

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # A step's dropout is its own: how often something was evaluated or begun again before decides nothing.
            torch.manual_seed((config.seed << 32) + (state.global_step << 8) + args.process_index)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if progress:
                progress("train", state.global_step, state.max_steps)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if not state.is_world_process_zero or not logs or not {"loss", "eval_loss"} & set(logs):
                return
            # Every part of an epoch reads about as much as any other.
            read = samples.training.read * ((state.epoch or 0.0) - self.from_epoch)
            seconds = time.monotonic() - self.started
            wanted = ("loss", "eval_loss", "learning_rate", "grad_norm", "epoch")
            line = {"step": state.global_step, **{n: logs[n] for n in wanted if n in logs}}
            line |= {"seconds": round(seconds, 3), "memory": memory()}
            line["tokens_per_second"] = round(read / max(seconds, 1e-9), 1)
            with (work / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if saved and state.is_world_process_zero:
                saved(work)

    return Watching()


def memory() -> int:
    """The most bytes used so far: of the GPU if there is one, else of this process."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _cut(path: Path, step: int) -> None:
    """Leave out the lines of steps that will be done again."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            break  # the line that was being written when it was killed
    path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
