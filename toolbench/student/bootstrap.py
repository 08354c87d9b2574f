"""A small Llama of our own, made of nothing but a lake's text: so that a student can be tuned where no model is."""

import json
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from toolbench.errors import ToolbenchError
from toolbench.student.base import Precision, bf16, quiet, require
from toolbench.student.corpus import Form, Texts, tokens, words

Preset = Literal["1m", "10m", "50m", "150m"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
SPECIAL = ("<|pad|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>")
"""Tokens of the chat template; `<|im_end|>` ends a turn and a text."""

_PIECES = r"\p{N}| ?[\p{L}_]+| ?[^\s\p{L}\p{N}_]+|\s+"
"""What no token reaches beyond. One digit a token: ids, amounts and dates are copied, not spelt. A function's name may
be one token."""

_SHAPES: dict[Preset, tuple[int, int, int, int]] = {
    "1m": (4, 128, 4, 4096),
    "10m": (4, 448, 7, 4096),  # few wide layers are the fastest on a CPU
    "50m": (12, 576, 9, 12288),
    "150m": (14, 896, 14, 16384),
}
"""Layers, width, heads, vocabulary: about the named number of parameters, with tied embeddings."""


class BootstrapConfig(BaseModel):
    """Settings of `bootstrap`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int = Field(default=6, ge=1)
    """Transformer blocks."""

    width: int = Field(default=320, ge=8)
    """Dimensions of a token; a multiple of twice `heads`."""

    heads: int = Field(default=8, ge=1)
    """Attention heads."""

    vocabulary: int = Field(default=8192, ge=300)
    """Tokens at most; a small corpus gives fewer."""

    context: int = Field(default=2048, ge=64)
    """Positions: longer conversations can neither be read nor tuned on."""

    conversations: Form = "whole"
    """How conversations are read: `short` leaves out system prompt and functions, which are most of the tokens and say
    the same again and again. The tokenizer knows their words all the same."""

    block: int | None = Field(default=None, ge=64)
    """Tokens that are trained on at once, `context` at most and by default; shorter blocks make more steps of as many
    tokens, and leave positions further apart to the tuning."""

    epochs: int = Field(default=3, ge=1)
    """Passes over the corpus."""

    steps: int | None = Field(default=None, ge=1)
    """Steps in all, in place of `epochs`."""

    batch_size: int = Field(default=8, ge=1)
    """Blocks that make one step."""

    precision: Precision = "auto"
    """Arithmetic of the passes; weights and optimiser are fp32 always. bf16 is nearly twice as fast where the processor
    has it (AMX or AVX-512 BF16, recent GPUs), and slower where it has not; auto is bf16 there, else fp32."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """The peak, after a warm-up of 2% of all steps; it falls to zero as a cosine."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Fixes the start and the order of blocks: on one CPU, the same text then gives the same bytes."""

    @model_validator(mode="after")
    def _whole_heads(self) -> "BootstrapConfig":
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} is no multiple of twice the {self.heads} heads")
        if self.block is not None and self.block > self.context:
            raise ValueError(f"a block of {self.block} tokens does not fit the context of {self.context}")
        return self

    @classmethod
    def preset(cls, name: Preset, **changed: Any) -> "BootstrapConfig":
        """The shape of about that many parameters; what is None in `changed` stays as it is."""
        shape = dict(zip(("layers", "width", "heads", "vocabulary"), _SHAPES[name], strict=True))
        return cls.model_validate({**shape, **{k: v for k, v in changed.items() if v is not None}})


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
    seconds: float
    losses: list[float] = field(default_factory=list)
    """Of each step."""


def bootstrap(
    texts: Texts, config: BootstrapConfig, folder: Path, progress: Callable[[str, int, int], None] | None = None
) -> Bootstrapped:
    """Train a tokenizer and a Llama on `texts`; `folder` then serves as the base of a student.

    On a GPU where there is one. Seeds Python's, NumPy's and torch's global generators. Raises ToolbenchError if the
    corpus does not fill one block, a package is missing, or `folder` cannot be written.
    """
    require()
    started = time.monotonic()
    tokenizer = _tokenizer(texts, config.vocabulary)
    blocks = _blocks(tokens(texts, tokenizer, config.conversations), config.block or config.context)
    model = _model(tokenizer, config)
    trainer = _trainer(model, blocks, config, folder, progress)
    at = time.monotonic()
    with quiet():
        trainer.train()
    seconds = time.monotonic() - at
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    last = losses[-max(1, len(losses) // 10) :]
    result = Bootstrapped(
        parameters=sum(p.numel() for p in model.parameters()),
        vocabulary=len(tokenizer),
        tokens=len(blocks.tokens),
        steps=len(losses),
        loss_first=losses[0],
        loss_last=sum(last) / len(last),
        tokens_per_second=len(losses) * config.batch_size * blocks.length / seconds,
        seconds=time.monotonic() - started,
        losses=losses,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        figures = {"config": config.model_dump(mode="json"), **asdict(result)}
        (folder / "bootstrap.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ToolbenchError(f"The model cannot be written to {folder} ({error}): name another folder.") from error
    return result


class _Blocks:
    """The corpus as one row of tokens, cut into blocks: four bytes a token, however long the texts."""

    def __init__(self, length: int) -> None:
        self.tokens, self.length = array("I"), length

    def __len__(self) -> int:
        return len(self.tokens) // self.length

    def __getitem__(self, n: int) -> dict[str, list[int]]:
        ids = list(self.tokens[n * self.length : (n + 1) * self.length])
        return {"input_ids": ids, "labels": ids}


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
    folder: Path,
    progress: Callable[[str, int, int], None] | None,
) -> Any:
    import torch
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, default_data_collator

    class Reporting(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if progress:
                progress("pre-train", state.global_step, state.max_steps)

    arguments = TrainingArguments(
        output_dir=str(folder),
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
            train_dataset=blocks,
            data_collator=default_data_collator,
            callbacks=[Reporting()],
        )
    trainer.remove_callback(PrinterCallback)
    return trainer
