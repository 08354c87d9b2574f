"""How long samples are, in tokens, and what had to be cut, dropped or left out to make them."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolbench.student.samples import IGNORED, Made

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHARES = (0.5, 0.9, 0.95, 0.99)
"""The quantiles of a summary, besides the least and the greatest."""

_PARTS = ("total", "targets", "observations")


@dataclass(slots=True)
class Lengths:
    """Counts over samples as they are made: four bytes a sample and figure, whatever their length."""

    samples: int = 0
    observations: int = 0
    shortened: int = 0
    """Observations that were cut."""
    dropped: int = 0
    """Observations that a note stands for."""
    changed: int = 0
    """Samples with either."""
    thoughts_left_out: int = 0
    """Turns whose thought the chat template does not show beside their call."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Conversations without a sample, by reason."""
    examples: dict[str, str] = field(default_factory=dict)
    """For each reason, what was said of the first."""
    tokens: dict[str, "array[int]"] = field(default_factory=lambda: {part: array("I") for part in _PARTS})
    """Of each sample: all tokens, those learned, and those of its observations' texts before anything was cut."""

    def add(self, made: Made, tokenizer: "PreTrainedTokenizerBase") -> None:
        """Count a sample, or what has become of a conversation."""
        if made.sample is None or made.conversation is None:
            if made.problem is not None:
                self.rejected[made.problem.reason] += 1
                self.examples.setdefault(made.problem.reason, str(made.problem))
            return
        texts = [m.content for m in made.conversation.messages if m.role == "tool" and m.content]
        found = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"] if texts else []
        one = made.sample
        self.samples += 1
        self.observations += len(texts)
        self.shortened += one.shortened
        self.dropped += one.dropped
        self.changed += bool(one.shortened or one.dropped)
        self.thoughts_left_out += one.thoughts_left_out
        self.tokens["total"].append(len(one.input_ids))
        self.tokens["targets"].append(sum(label != IGNORED for label in one.labels))
        self.tokens["observations"].append(sum(len(ids) for ids in found))

    def summary(self) -> dict[str, Any]:
        """Everything as plain values; quantiles are of the samples (nearest rank)."""
        return {
            "samples": self.samples,
            "rejected": dict(sorted(self.rejected.items())),
            "examples": dict(sorted(self.examples.items())),
            "observations": self.observations,
            "shortened": self.shortened,
            "dropped": self.dropped,
            "samples_changed": self.changed,
            "thoughts_left_out": self.thoughts_left_out,
            "tokens": {part: _quantiles(counts) for part, counts in self.tokens.items()} if self.samples else {},
        }


def _quantiles(counts: "array[int]") -> dict[str, float]:
    ordered = sorted(counts)
    last = len(ordered) - 1
    at = {f"p{100 * share:g}": ordered[min(last, int(share * len(ordered)))] for share in SHARES}
    return {"sum": sum(ordered), "mean": round(sum(ordered) / len(ordered), 1), "least": ordered[0], **at,
            "greatest": ordered[-1]}  # fmt: skip
