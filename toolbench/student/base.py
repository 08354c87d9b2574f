"""The base model and its tokenizer from this machine's disk: no network, no progress bars, no code of theirs."""

import importlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from toolbench.errors import ToolbenchError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def require() -> None:
    """Raise ToolbenchError unless the packages of the extra `train` are there; keep them off the network."""
    # Before the first import: huggingface_hub reads these once.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        for package in ("torch", "transformers", "peft", "accelerate", "datasets", "trl"):
            importlib.import_module(package)
    except ImportError as error:
        raise ToolbenchError(
            f"The student needs packages of the extra `train` ({error}): run pip install 'toolbench[train]'."
        ) from error


def load_tokenizer(base: str, *, bare: bool = False) -> "PreTrainedTokenizerBase":
    """The tokenizer of `base`. Raises ToolbenchError if it cannot be loaded, or has no chat template and is not `bare`,
    which leaves that to who gives it one."""
    require()
    from transformers import AutoTokenizer

    with _loading(base), quiet():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            base, local_files_only=True, trust_remote_code=False
        )
    if not tokenizer.chat_template and not bare:
        raise ToolbenchError(
            f"The tokenizer of the base `{base}` has no chat template: take a base that was made for chat, or put its "
            "template into the folder as chat_template.jinja."
        )
    return tokenizer


def load_model(
    base: str, tokenizer: "PreTrainedTokenizerBase", rope: Mapping[str, Any] | None = None, *, quantize: bool = False
) -> Any:
    """The causal model of `base`: bfloat16 on a GPU that has it, else float32.

    `rope`: entries of its configuration that stretch its positions, as `toolbench.student.rope.stretched` gives them.
    `quantize`: in 4 bits, for QLoRA. Raises ToolbenchError if it cannot be loaded, or embeds fewer tokens than the
    tokenizer makes.
    """
    require()
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    more = {"quantization_config": _four_bits()} if quantize else {}
    with _loading(base), quiet():
        config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
        for name, value in (rope or {}).items():
            setattr(config, name, value)
        model: Any = AutoModelForCausalLM.from_pretrained(
            base,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.bfloat16 if torch.cuda.is_available() and bf16() else torch.float32,
            **more,
        )
    embedded = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > embedded:
        raise ToolbenchError(
            f"The base `{base}` embeds {embedded} tokens but its tokenizer makes {len(tokenizer)}: model and tokenizer "
            "do not belong together."
        )
    return model


def load_config(base: str) -> Any:
    """The configuration of `base`. Raises ToolbenchError if it cannot be loaded."""
    require()
    from transformers import AutoConfig

    with _loading(base), quiet():
        return AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)


def _four_bits() -> Any:
    """How QLoRA stores a base (Dettmers et al. 2023: NF4, double quantisation). Raises ToolbenchError."""
    import torch
    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available():
        raise ToolbenchError("QLoRA needs a GPU, and this machine has none: leave `quantize` out.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ToolbenchError("QLoRA needs the package bitsandbytes: run pip install bitsandbytes, or leave it out.")
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


Precision = Literal["auto", "fp32", "bf16"]
"""Arithmetic of the passes: `auto` is bfloat16 where it is fast, not emulated."""


def bf16(precision: Precision = "auto") -> bool:
    """Whether the passes compute in bfloat16: on the GPU if there is one, else on the processor."""
    import torch

    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    said = torch.cpu.get_capabilities()
    return bool(said.get("avx512_bf16") or said.get("amx_bf16"))


def require_gpu(*, allow_cpu: bool = False) -> None:
    """Raise ToolbenchError if this machine has no GPU, unless that is meant to be so."""
    require()
    import torch

    if not torch.cuda.is_available() and not allow_cpu:
        raise ToolbenchError(
            "This worker has no GPU that torch can use, and a student is not trained on a CPU by accident: start a "
            "worker of the pool `gpu` on a machine with one, or set allow_cpu."
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without the libraries' progress bars, reports and deprecations, which would break into the caller's display.

    What their parts tell each other about coming versions is nothing that a user can act on.
    """
    from transformers.utils import logging as reports

    level, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity(logging.ERROR)
    reports.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        reports.set_verbosity(level)
        if bars:
            reports.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def _loading(base: str) -> Iterator[None]:
    try:
        yield
    # The formats behind a folder raise whatever they like (OSError, KeyError, SafetensorError, …).
    except Exception as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        if isinstance(error, OSError) and not Path(base).exists():
            said = "no such folder, nor all of such a model in the local cache"
        raise ToolbenchError(
            f"The student's base `{base}` cannot be loaded ({said}): name a folder with a causal model and its "
            "tokenizer, or a model that the local Hugging Face cache holds."
        ) from error
