"""One sample for the eye: its text in parts, each of them learned or only read."""

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from toolbench.student.samples import IGNORED, Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OPEN, CLOSE = "[[", "]]"
"""What stands around learned text where there is no colour."""


class Part(NamedTuple):
    """Tokens in a row that are all learned or all read."""

    text: str
    learned: bool
    tokens: int


def parts(sample: Sample, tokenizer: "PreTrainedTokenizerBase") -> list[Part]:
    """The sample's parts in order, decoded from its tokens: what is shown is what is trained on."""
    found = []
    pairs = zip(sample.input_ids, sample.labels, strict=True)
    for learned, run in groupby(pairs, key=lambda pair: pair[1] != IGNORED):
        ids = [token for token, _ in run]
        found.append(Part(str(tokenizer.decode(ids, clean_up_tokenization_spaces=False)), learned, len(ids)))
    return found


def plain(found: list[Part]) -> str:
    """The parts as one text, what is learned in `[[ ]]`."""
    return "".join(f"{OPEN}{part.text}{CLOSE}" if part.learned else part.text for part in found)


def as_json(name: str, sample: Sample, found: list[Part]) -> dict[str, Any]:
    """The sample with its parts, ids and labels as plain values."""
    return {"conversation": name, "parts": [part._asdict() for part in found], **sample._asdict()}
