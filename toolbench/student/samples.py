"""A conversation as token ids and labels: through the base's own chat template, loss on the trained turns alone."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from toolbench.dialogue import FINISH
from toolbench.records import Conversation, Message
from toolbench.student.chat import Chat, Span, UnusableConversation
from toolbench.student.masks import spans, thoughts_left_out
from toolbench.student.shorten import Shortened, fitting
from toolbench.student.templates import one_call_a_turn, react

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["IGNORED", "Making", "Sample", "UnusableConversation", "sample", "samples", "turns"]

IGNORED = -100
"""The label of a token that is read but not learned; what PyTorch's cross entropy leaves out."""


class Sample(NamedTuple):
    """One training example; both lists have one entry a token."""

    input_ids: list[int]
    labels: list[int]
    """The same ids where the token is learned, `IGNORED` elsewhere. A model predicts entry i from the ids before i."""
    shortened: int = 0
    """Observations that were cut to make it fit."""
    dropped: int = 0
    """Observations that a note stands for, because cutting was not enough."""
    thoughts_left_out: int = 0
    """Trained turns whose thought the template does not show beside their call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How conversations become samples."""

    max_tokens: int | None = None
    """Longest sample in tokens; None: as long as they are."""
    per_turn: bool = False
    """One sample a turn, loss on its last turn alone, as ToolLLM's release has it; else one a path, loss on all."""
    give_ups: bool = False
    """Also learn from paths that end with giving up."""


@dataclass(frozen=True, slots=True)
class Made:
    """A sample, or why there is none, with the conversation it is of."""

    conversation: Conversation | None
    """None where what was read is none."""
    sample: Sample | None
    problem: UnusableConversation | None = None


def samples(
    conversations: Iterable[Conversation | UnusableConversation], tokenizer: "PreTrainedTokenizerBase", making: Making
) -> Iterator[Made]:
    """The samples of conversations, one after the other: only the one at hand is in memory.

    What could not be read as a conversation is passed on as a problem.
    """
    text = tokenizer.chat_template == react()
    for found in conversations:
        if isinstance(found, UnusableConversation):
            yield Made(None, None, found)
            continue
        conversation = one_call_a_turn(found) if text else found
        if not making.give_ups and gives_up(conversation):
            problem = UnusableConversation("gave_up", f"Conversation {conversation.id} ends with giving up.")
            yield Made(conversation, None, problem)
            continue
        for part in turns(conversation) if making.per_turn else (conversation,):
            try:
                yield Made(part, sample(part, tokenizer, making.max_tokens))
            except UnusableConversation as problem:
                yield Made(part, None, problem)


def turns(conversation: Conversation) -> Iterator[Conversation]:
    """One conversation a trained turn: everything up to it, loss on it alone.

    One without such a turn stays as it is, so that somebody can say what is wrong with it.
    """
    trained = _trained(conversation)
    if not trained:
        yield conversation
    for n in trained:
        before = [replace(m, train=False) for m in conversation.messages[:n]]
        yield replace(conversation, id=f"{conversation.id}#{n}", messages=[*before, conversation.messages[n]])


def gives_up(conversation: Conversation) -> bool:
    """Whether the last call is `Finish` without an answer."""
    last = next((m for m in reversed(conversation.messages) if m.role == "assistant"), None)
    calls = last.tool_calls if last else []
    return any(call.name == FINISH and _gives_up(call.arguments) for call in calls)


def _gives_up(arguments: str) -> bool:
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return "give_up_and_restart" in arguments
    return isinstance(value, dict) and value.get("return_type") == "give_up_and_restart"


def sample(conversation: Conversation, tokenizer: "PreTrainedTokenizerBase", max_tokens: int | None = None) -> Sample:
    """Tokens and labels of a conversation; a label is set on every token of the turns with `train`, up to the token
    that ends the turn, and on nothing else: neither on the template's role header nor on other turns.

    Where there are more than `max_tokens` tokens, all observations are cut to the greatest common length in characters
    that fits; where that is not enough, the oldest are dropped, a note in their place; targets are never cut.

    Raises UnusableConversation with the reason `nothing_to_learn`, `too_long` or `template`.
    """
    trained = _trained(conversation)
    if not trained:
        raise UnusableConversation("nothing_to_learn", f"Conversation {conversation.id} has no turn to learn from.")
    short = Shortened(conversation)
    if max_tokens is not None:
        short = fitting(conversation, tokenizer, max_tokens)
    chat = Chat(short.conversation, tokenizer)
    found = spans(chat, trained)
    ids, labels = encoded(chat.text(), found, tokenizer)
    return Sample(ids, labels, short.shortened, short.dropped, thoughts_left_out(chat, trained, found))


def encoded(text: str, found: list[Span], tokenizer: "PreTrainedTokenizerBase") -> tuple[list[int], list[int]]:
    """Ids and labels of a text with the given spans learned.

    A token that would reach over the beginning or the end of a span is not made: there the text is tokenised in two
    parts, as it is when a model continues a prompt.
    """
    ids, places = _tokens(text, 0, tokenizer)
    if crossed := [edge for span in found for edge in span if _within(edge, places)]:
        parts = [_tokens(text[a:b], a, tokenizer) for a, b in pairwise(sorted({0, *crossed, len(text)}))]
        ids, places = [i for part in parts for i in part[0]], [p for part in parts for p in part[1]]
    labels = [IGNORED] * len(ids)
    for start, end in found:
        # A place is a pair: a single number sorts before all that begin with it.
        first, behind = bisect_left(places, (start,)), bisect_left(places, (end,))
        labels[first:behind] = ids[first:behind]
    return ids, labels


def _tokens(text: str, offset: int, tokenizer: "PreTrainedTokenizerBase") -> tuple[list[int], list[Span]]:
    """Ids with their places. Raises UnusableConversation if the tokenizer tells none."""
    if not tokenizer.is_fast:
        raise UnusableConversation(
            "template",
            "The base's tokenizer does not tell where its tokens lie in the text: give its folder a tokenizer.json.",
        )
    made = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False)
    return list(made["input_ids"]), [(start + offset, end + offset) for start, end in made["offset_mapping"]]


def _within(edge: int, places: list[Span]) -> bool:
    """Whether a token reaches over an edge."""
    at = bisect_left(places, (edge,))
    return at > 0 and places[at - 1][1] > edge


def _trained(conversation: Conversation) -> list[int]:
    return [n for n, m in enumerate(conversation.messages) if _learned(m)]


def _learned(message: Message) -> bool:
    return message.train and message.role == "assistant"
