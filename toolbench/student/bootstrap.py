"""A small Llama of our own, made of nothing but a lake's text: so that a student can be tuned where no model is."""

import hashlib
import json
import shutil
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from toolbench.digests import digest
from toolbench.errors import ToolbenchError
from toolbench.student.base import bf16, quiet, require
from toolbench.student.bootstrap_config import BootstrapConfig
from toolbench.student.checkpoints import newest
from toolbench.student.corpus import Texts, tokens, words

CHECKPOINTS = "checkpoints"
"""The folder in the model's where a run that has not ended keeps what it can go on from."""


SPECIAL = ("<|pad|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>")
"""Tokens of the chat template; `<|im_end|>` ends a turn and a text."""

_PIECES = r"\p{N}| ?[\p{L}_]+| ?[^\s\p{L}\p{N}_]+|\s+"
"""What no token reaches beyond. One digit a token: ids, amounts and dates are copied, not spelt. A function's name may
be one token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrapped:
    """What was made and how well it predicts; `bootstrap.json` holds the same."""

    parameters: int
    vocabulary: int
    tokens: int
    """Tokens of the corpus, once."""
    steps: int
    loss_first: float
    """Mean cross entropy of the first step's tokens, in nats: about the logarithm of the vocabulary."""
    loss_last: float
    """The same, the mean of the last tenth of all steps."""
    tokens_per_second: float
    """Of this call: steps that were there already are not counted."""
    seconds: float
    losses: list[float] = field(default_factory=list)
    """Of each step."""


def bootstrap(
    texts: Texts, config: BootstrapConfig, folder: Path, progress: Callable[[str, int, int], None] | None = None
) -> Bootstrapped:
    """Train a tokenizer and a Llama on `texts`; `folder` then serves as the base of a student.

    On a GPU where there is one. Seeds Python's, NumPy's and torch's global generators. A run that was killed goes on
    from the newest checkpoint in `folder`, if text and configuration are the same, and ends with the weights it would
    have had; checkpoints of another run are removed. None is left at the end. Raises ToolbenchError if the corpus does
    not fill one block, a package is missing, or `folder` cannot be written.
    """
    require()
    started = time.monotonic()
    work = folder / CHECKPOINTS
    tokenizer = _tokenizer(texts, config.vocabulary)
    blocks = _blocks(tokens(texts, tokenizer, config.conversations), config.block or config.context)
    with _written(folder):
        checkpoint = newest(work, digest([config.model_dump(mode="json"), blocks.digest()]))
    model = _model(tokenizer, config)
    trainer = _trainer(model, blocks, config, work, progress)
    at = time.monotonic()
    with quiet(), _written(folder):
        trainer.train(resume_from_checkpoint=checkpoint)
    seconds = time.monotonic() - at
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    last = losses[-max(1, len(losses) // 10) :]
    done = len(losses) - int(checkpoint.rpartition("-")[2] if checkpoint else 0)
    result = Bootstrapped(
        parameters=sum(p.numel() for p in model.parameters()),
        vocabulary=len(tokenizer),
        tokens=len(blocks.tokens),
        steps=len(losses),
        loss_first=losses[0],
        loss_last=sum(last) / len(last),
        tokens_per_second=done * config.batch_size * blocks.length / seconds,
        seconds=time.monotonic() - started,
        losses=losses,
    )
    with _written(folder), quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        figures = {"config": config.model_dump(mode="json"), **asdict(result)}
        (folder / "bootstrap.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(work, ignore_errors=True)
    return result


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ToolbenchError(f"The model cannot be written to {folder} ({error}): name another folder.") from error


class _Blocks:
    """The corpus as one row of tokens, cut into blocks: four bytes a token, however long the texts."""

    def __init__(self, length: int) -> None:
        self.tokens, self.length = array("I"), length

    def __len__(self) -> int:
        return len(self.tokens) // self.length

    def __getitem__(self, n: int) -> dict[str, list[int]]:
        ids = list(self.tokens[n * self.length : (n + 1) * self.length])
        return {"input_ids": ids, "labels": ids}

    def digest(self) -> str:
        """Of all tokens, in order."""
        return hashlib.sha256(self.tokens).hexdigest()


def _blocks(read: Iterator[list[int]], length: int) -> _Blocks:
    blocks = _Blocks(length)
    for ids in read:
        blocks.tokens.extend(ids)
    if not len(blocks):
        raise ToolbenchError(
            f"The corpus has {len(blocks.tokens)} tokens, which do not fill one block of {length}: collect more "
            "first, or lower the block."
        )
    return blocks


def _tokenizer(texts: Texts, vocabulary: int) -> Any:
    """Byte-level BPE: any text can be written with it."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = words(texts)
    if not (head := list(islice(corpus, 1))):
        raise ToolbenchError("The lake has no text of the split `train` to learn from: run `toolbench refresh` first.")
    raw.train_from_iterator((text for part in (head, corpus) for text in part), trainer)
    marks: Any = {"eos_token": "<|im_end|>", "pad_token": "<|pad|>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, **marks)  # type: ignore[no-untyped-call]
    template = files("toolbench.student").joinpath("prompts", "bootstrap.jinja")
    tokenizer.chat_template = template.read_text(encoding="utf-8")
    return tokenizer


def _model(tokenizer: Any, config: BootstrapConfig) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    set_seed(config.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=-(-len(tokenizer) // 64) * 64,
            hidden_size=config.width,
            intermediate_size=-(-config.width * 8 // 3 // 32) * 32,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.context,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _trainer(
    model: Any,
    blocks: _Blocks,
    config: BootstrapConfig,
    work: Path,
    progress: Callable[[str, int, int], None] | None,
) -> Any:
    import torch
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, default_data_collator

    class Reporting(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if progress:
                progress("pre-train", state.global_step, state.max_steps)

    arguments = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=config.epochs,
        max_steps=config.steps or -1,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.02,  # below 1: a share of all steps
        weight_decay=0.1,
        adam_beta2=0.95,
        bf16=bf16(config.precision),
        use_cpu=not torch.cuda.is_available(),
        seed=config.seed,
        save_steps=config.checkpoint_every,
        save_total_limit=1,
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
            train_dataset=blocks,
            data_collator=default_data_collator,
            callbacks=[Reporting()],
        )
    trainer.remove_callback(PrinterCallback)
    return trainer
