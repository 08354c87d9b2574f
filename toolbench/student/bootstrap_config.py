"""Settings of `bootstrap`: the shape of a model of our own, and how long it reads."""

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from toolbench.student.base import Precision
from toolbench.student.corpus import Form

Preset = Literal["1m", "10m", "50m", "150m"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
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

    checkpoint_every: int = Field(default=100, ge=1)
    """Steps between two checkpoints: what a kill costs at most. One holds weights and optimiser, twelve bytes a
    parameter."""

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
