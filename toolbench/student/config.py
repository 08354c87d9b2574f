"""What a training run of the student can be told."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from toolbench.student.base import Precision
from toolbench.student.templates import Calls

Preset = Literal["quick", "toolllama", "ours"]


class StudentConfig(BaseModel):
    """Settings of `train`. The defaults suit some hundred conversations; `toolllama()` is ToolLLM's recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    """The causal model to adapt: a folder, or the name of a model that the local Hugging Face cache holds. Nothing is
    downloaded."""

    calls: Calls = "auto"
    """How calls are written: `native`, by the base's own chat template; `react`, as ReAct text; `auto`: natively where
    the template shows functions, else as text. The adapter keeps the template, so that it is asked in the same way."""

    per_turn: bool = False
    """One sample a turn with loss on that turn alone, as ToolLLM's release has it; else one a conversation with loss on
    all turns, which learns the same from far fewer tokens. `batch_size` counts samples."""

    give_ups: bool = False
    """Also learn from conversations that end with giving up; the lake has them where `dataset.give_ups` is set."""

    rank: int = Field(default=16, ge=1)
    """Rank of the adapter's matrices: more learns more and costs memory in proportion."""

    alpha: int = Field(default=32, ge=1)
    """The adapter is scaled by `alpha / rank`; raise both together to keep the step that a learning rate makes."""

    dropout: float = Field(default=0.05, ge=0, lt=1)
    """Share of the adapter's inputs that are dropped while training; helps where conversations are few."""

    target_modules: str | tuple[str, ...] = "all-linear"
    """The layers that get an adapter: `all-linear` (all but the output layer), or names such as `q_proj`."""

    epochs: int = Field(default=1, ge=1)
    """Passes over the training conversations."""

    steps: int | None = Field(default=None, ge=1)
    """Steps in all, in place of `epochs`."""

    learning_rate: float = Field(default=2e-4, gt=0)
    """The peak of AdamW's learning rate. Adapters bear about ten times what a whole model does."""

    warmup: float = Field(default=0.04, ge=0, lt=1)
    """Share of all steps in which the learning rate climbs to its peak."""

    schedule: Literal["cosine", "linear"] = "cosine"
    """How the learning rate falls to zero after the warm-up."""

    batch_size: int = Field(default=8, ge=1)
    """Conversations that make one step."""

    micro_batch: int = Field(default=1, ge=1)
    """Conversations in memory at once; gradients are added up until `batch_size`, so that the result does not depend
    on it (dropout apart). Raise it as far as memory allows."""

    max_tokens: int = Field(default=4096, ge=16)
    """Longest conversation in tokens; observations of longer ones are shortened, and what is still longer is rejected.
    A base that has fewer positions sets the limit itself, unless `rope` stretches them."""

    rope: Literal["none", "linear", "yarn"] = "none"
    """How positions are stretched where `max_tokens` is more than the base was made for: `linear` divides them (the
    paper's position interpolation, Chen et al. 2023), `yarn` divides slow frequencies only (Peng et al. 2023)."""

    packing: bool = False
    """Several conversations in one sequence of `max_tokens`, none of which sees another: no padding is computed.
    `batch_size` and `micro_batch` then count sequences."""

    precision: Precision = "auto"
    """Arithmetic of the passes; the adapter and its optimiser are fp32 always. bf16 is nearly twice as fast where the
    processor has it (AMX or AVX-512 BF16, recent GPUs), and slower where it has not; auto is bf16 there, else fp32."""

    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: about a third slower, and far less memory."""

    quantize: bool = False
    """QLoRA (Dettmers et al. 2023): the base in 4 bits, adapters in bfloat16. Needs a GPU and bitsandbytes."""

    checkpoint_every: int = Field(default=50, ge=1)
    """Steps between two checkpoints: what a kill costs at most."""

    evaluate_every: int | None = Field(default=None, ge=1)
    """Steps between two looks at the held-out conversations; None: after each epoch."""

    patience: int | None = Field(default=None, ge=1)
    """Stop after so many looks in a row without a better held-out loss, and keep the best adapter; None: never. Then
    checkpoints are written at each look."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Fixes the adapter's start, the order of conversations and the dropout: on one CPU, the same inputs then give the
    same bytes."""

    @model_validator(mode="after")
    def _whole_steps(self) -> "StudentConfig":
        if self.batch_size % self.micro_batch:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of micro_batch {self.micro_batch}")
        return self

    @classmethod
    def toolllama(cls, base: str) -> "StudentConfig":
        """ToolLLaMA as the paper trained it, with an adapter in the place of all weights.

        Qin et al. 2023, appendix A.3: learning rate 5e-5, warm-up ratio 4e-2, batch 64, 8192 tokens (LLaMA's 2048
        positions, interpolated), two epochs, cosine.
        """
        return cls(
            base=base, epochs=2, learning_rate=5e-5, warmup=0.04, schedule="cosine", batch_size=64, max_tokens=8192,
            rope="linear",
        )  # fmt: skip

    @classmethod
    def ours(cls, base: str) -> "StudentConfig":
        """For some thousand conversations and a GPU: packed, 8192 tokens, stopped when it no longer gets better."""
        return cls(
            base=base, rank=32, alpha=64, epochs=3, learning_rate=2e-4, batch_size=16, max_tokens=8192, rope="yarn",
            packing=True, gradient_checkpointing=True, evaluate_every=50, patience=3,
        )  # fmt: skip

    @classmethod
    def preset(cls, name: Preset, base: str, **changed: Any) -> "StudentConfig":
        """One of the above, or the defaults (`quick`); what is None in `changed` stays as it is."""
        found = {"quick": cls(base=base), "toolllama": cls.toolllama(base), "ours": cls.ours(base)}[name]
        return cls.model_validate(found.model_dump() | {k: v for k, v in changed.items() if v is not None})
