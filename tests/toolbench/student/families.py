"""Chat templates in the formats that model families document, and where their turns lie, found the slow way.

The templates are our own; what they write is what the families' documents show.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolbench.student.samples import IGNORED
from toolbench.student.templates import react

FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Family:
    """How a family's turns can be told apart in a text whose contents hold none of its special tokens."""

    name: str
    specials: tuple[str, ...]
    before: str
    """Regular expression of what stands before a turn of the assistant, and is not one itself."""
    end: str
    """The token that ends the turn."""
    eos: str
    bos: str | None = None
    functions: bool = True
    thoughts: bool = True
    """Whether a thought is shown beside a call."""
    parallel: bool = True
    """Whether a turn may have several calls."""

    @property
    def template(self) -> str:
        return react() if self.name == "react" else (FOLDER / f"{self.name}.jinja").read_text(encoding="utf-8")

    def turns(self, text: str) -> list[tuple[int, int]]:
        """The assistant's turns, character by character from the left."""
        found, at = [], 0
        for opening in re.finditer(self.before, text):
            if opening.end() >= at:
                at = text.index(self.end, opening.end()) + len(self.end)
                found.append((opening.end(), at))
        return found

    def labels(self, text: str, tokenizer: Any, wanted: set[int]) -> tuple[list[int], list[int]]:
        """Ids of the text, and labels of those tokens whose characters all lie in one of the wanted turns."""
        inside = [False] * len(text)
        for number, (start, end) in enumerate(self.turns(text)):
            for at in range(start, end):
                inside[at] = number in wanted
        made = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        labels = [
            token if end > start and all(inside[start:end]) else IGNORED
            for token, (start, end) in zip(made["input_ids"], made["offset_mapping"], strict=True)
        ]
        return list(made["input_ids"]), labels


CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>", "</tool_call>")
HEADERS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>")
BRACKETS = ("<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]",
            "[TOOL_RESULTS]", "[/TOOL_RESULTS]")  # fmt: skip
FAMILIES = (
    Family("llama2", ("<s>", "</s>", "<unk>"), r"\[/INST\]", "</s>", "</s>", "<s>", functions=False),
    Family("llama3", HEADERS, r"<\|start_header_id\|>assistant<\|end_header_id\|>\n\n", "<|eot_id|>", "<|eot_id|>",
           "<|begin_of_text|>", thoughts=False, parallel=False),
    Family("qwen25", CHATML, r"<\|im_start\|>assistant\n", "<|im_end|>", "<|im_end|>"),
    Family("qwen3", (*CHATML, "<think>", "</think>"), r"<\|im_start\|>assistant\n", "<|im_end|>", "<|im_end|>"),
    Family("mistral", BRACKETS, r"\[/INST\]|\[/TOOL_RESULTS\](?!\[TOOL_RESULTS\])", "</s>", "</s>", "<s>",
           thoughts=False),
    Family("react", ("<s>", "</s>"), r"(?<=\n\n)Assistant:\n", "</s>", "</s>", "<s>", parallel=False),
)  # fmt: skip
