"""A student's folder: an adapter and its base, a merged model, or a base alone."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbench.errors import ToolbenchError
from toolbench.student.base import load_model, load_tokenizer, quiet
from toolbench.student.rope import recall
from toolbench.student.templates import choose

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ADAPTER = "adapter_config.json"


def is_adapter(folder: str) -> bool:
    """Whether the folder holds an adapter, which needs its base."""
    return (Path(folder) / ADAPTER).is_file()


def base_of(folder: str, base: str | None = None) -> str:
    """The model below an adapter: `base`, or the one that the adapter names. Raises ToolbenchError."""
    try:
        named = json.loads((Path(folder) / ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolbenchError(f"The adapter {folder} has no readable {ADAPTER} that names its base.") from error
    if not (base or named):
        raise ToolbenchError(f"The adapter {folder} does not name its base: name it with --base.")
    return base or str(named)


def load_student(folder: str, base: str | None = None) -> tuple[Any, "PreTrainedTokenizerBase"]:
    """The model, ready to generate, and its tokenizer. An adapter is merged into its base in memory.

    A base is asked as its students are: as ReAct text where its own chat template shows no functions. `base`: where
    the adapter's base is now, if it was moved. Raises ToolbenchError for what cannot be loaded.
    """
    tokenizer = load_tokenizer(folder, bare=True)
    choose(tokenizer, "auto")
    model = adapted(folder, base_of(folder, base), tokenizer) if is_adapter(folder) else load_model(folder, tokenizer)
    return model.eval(), tokenizer


def adapted(folder: str, base: str, tokenizer: "PreTrainedTokenizerBase") -> Any:
    """The base with the adapter's changes in its own weights."""
    from peft import PeftModel

    model = load_model(base, tokenizer, recall(Path(folder)))
    try:
        with quiet():
            return PeftModel.from_pretrained(model, folder).merge_and_unload()
    # The formats behind a folder raise whatever they like.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise ToolbenchError(
            f"The adapter {folder} does not fit the base `{base}` ({reason}): name the base it was trained on."
        ) from error
