"""What a model of our own reads before it is taught: the training split's texts of a lake."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from toolbench.documents import document
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Conversation, Instruction
from toolbench.student.samples import UnusableConversation, sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Texts = Callable[[], Iterator[str | Conversation]]
"""Gives the corpus from the start each time it is called, so that it never has to be in memory as a whole."""

Form = Literal["whole", "short"]
"""Of conversations. `whole`: as a student is asked; `short`: without system prompt and functions, which are most of the
tokens and say the same again and again."""


def corpus(lake: Lake, view: Snapshot) -> Texts:
    """API documents and definitions, instructions and conversations; nothing that is held out."""

    def texts() -> Iterator[str | Conversation]:
        for api in lake.rows(view, Api):
            if api.split == "train":
                yield f"{document(api)}\n{api.definition}"
        for instruction in lake.rows(view, Instruction):
            if instruction.split == "train":
                yield instruction.text
        for conversation in lake.rows(view, Conversation):
            if conversation.split == "train":
                yield conversation

    return texts


def words(texts: Texts) -> Iterator[str]:
    """The corpus as plain text, for a tokenizer that is not there yet."""
    for text in texts():
        if isinstance(text, str):
            yield text
            continue
        yield text.tools
        for message in text.messages:
            yield f"{message.role}\n{message.content or ''}"
            yield from (f'{{"name": "{call.name}", "arguments": {call.arguments}}}' for call in message.tool_calls)


def tokens(texts: Texts, tokenizer: "PreTrainedTokenizerBase", form: Form = "whole") -> Iterator[list[int]]:
    """Token ids of each text; conversations go through the chat template."""
    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    for text in texts():
        if isinstance(text, str):
            yield [*tokenizer.encode(text, add_special_tokens=False), *end]
            continue
        try:
            yield sample(text if form == "whole" else short(text), tokenizer).input_ids
        except UnusableConversation:
            continue


def short(conversation: Conversation) -> Conversation:
    """The conversation without system prompt and functions."""
    return replace(conversation, tools="[]", messages=[m for m in conversation.messages if m.role != "system"])
