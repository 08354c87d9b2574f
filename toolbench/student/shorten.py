"""Conversations made to fit: observations are cut, then the oldest dropped; what is to be learned is never touched."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolbench.records import Conversation, Message
from toolbench.student.chat import Chat, UnusableConversation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHORTEST = 64
"""Characters a cut observation keeps at least: an envelope's error, or the first values of its response."""

CUT = "..."
"""What the system prompt says cut results end in."""

NOTE = "[left out]"
"""What stands for an observation that was dropped."""


@dataclass(frozen=True, slots=True)
class Shortened:
    """A conversation, with how many of its observations were cut and how many dropped."""

    conversation: Conversation
    shortened: int = 0
    dropped: int = 0


def fitting(conversation: Conversation, tokenizer: "PreTrainedTokenizerBase", max_tokens: int) -> Shortened:
    """The conversation with its observations as long as `max_tokens` allows.

    All are cut to the greatest common length that fits, at least 64 characters. If that is too much, as few as possible
    of the oldest give way to a note, and what is left is cut likewise. The common length is found by bisection; as
    tokens do not add up exactly, a longer one might fit now and then.

    Raises UnusableConversation, reason `too_long`, if it does not fit without any observation, `template` if the
    template refuses it.
    """

    def fits(candidate: Conversation) -> bool:
        made = tokenizer(Chat(candidate, tokenizer).text(), add_special_tokens=False, return_attention_mask=False)
        return len(made["input_ids"]) <= max_tokens

    if fits(conversation):
        return Shortened(conversation)
    observed = [n for n, m in enumerate(conversation.messages) if m.role == "tool" and len(m.content or "") > len(NOTE)]
    bare = 0
    if not fits(_cut(conversation, SHORTEST, frozenset())):
        if not fits(_cut(conversation, SHORTEST, frozenset(observed))):
            raise UnusableConversation(
                "too_long",
                f"Conversation {conversation.id} has more than {max_tokens} tokens even with its observations cut to "
                f"{SHORTEST} characters and then dropped: raise max_tokens or leave it out.",
            )
        bare = _least(1, len(observed), lambda n: fits(_cut(conversation, SHORTEST, frozenset(observed[:n]))))
    dropped = frozenset(observed[:bare])
    longest = max((len(m.content or "") for m in conversation.messages if m.role == "tool"), default=0)
    # The greatest length that fits is one below the least that does not.
    limit = _least(SHORTEST + 1, longest, lambda n: not fits(_cut(conversation, n, dropped))) - 1
    short = _cut(conversation, limit, dropped)
    changed = sum(a is not b for a, b in zip(conversation.messages, short.messages, strict=True))
    return Shortened(short, changed - len(dropped), len(dropped))


def _least(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The least of low … high for which it holds, which it does from there on; high + 1 if for none."""
    high += 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _cut(conversation: Conversation, limit: int, dropped: frozenset[int]) -> Conversation:
    """Observations of more than `limit` characters cut there, those in `dropped` replaced by the note."""

    def shown(n: int, message: Message) -> Message:
        if n in dropped:
            return replace(message, content=NOTE)
        if message.role == "tool" and message.content and len(message.content) > limit:
            return replace(message, content=message.content[:limit] + CUT)
        return message

    return replace(conversation, messages=[shown(n, m) for n, m in enumerate(conversation.messages)])
