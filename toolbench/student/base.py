"""The base model and its tokenizer from this machine's disk: no network, no progress bars, no code of theirs."""

import importlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from toolbench.errors import ToolbenchError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def require() -> None:
    """Raise ToolbenchError unless the packages of the extra `train` are there; keep them off the network."""
    # Before the first import: huggingface_hub reads these once.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        for package in ("torch", "transformers", "peft", "accelerate"):
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


def load_model(base: str, tokenizer: "PreTrainedTokenizerBase") -> Any:
    """The causal model of `base`: bfloat16 on a GPU that has it, else float32.

    Raises ToolbenchError if it cannot be loaded, or embeds fewer tokens than the tokenizer makes.
    """
    require()
    import torch
    from transformers import AutoModelForCausalLM

    with _loading(base), quiet():
        model: Any = AutoModelForCausalLM.from_pretrained(
            base, local_files_only=True, trust_remote_code=False, dtype=torch.bfloat16 if bf16() else torch.float32
        )
    embedded = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > embedded:
        raise ToolbenchError(
            f"The base `{base}` embeds {embedded} tokens but its tokenizer makes {len(tokenizer)}: model and tokenizer "
            "do not belong together."
        )
    return model


def bf16() -> bool:
    """True where a GPU computes in bfloat16."""
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


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
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ToolbenchError(
            f"The student's base `{base}` cannot be loaded ({lines[0].rstrip('.:')}): name a folder with a causal "
            "model and its tokenizer, or a model that the local Hugging Face cache holds."
        ) from error
