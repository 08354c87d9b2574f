"""A conversation as token ids and labels: through the base's own chat template, loss on the trained turns alone."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from toolbench.errors import ToolbenchError
from toolbench.records import Conversation, Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""The label of a token that is read but not learned; what PyTorch's cross entropy leaves out."""

_SHORTEST = 64
"""Characters an observation keeps at least: an envelope's error, or the first values of its response."""

_CUT = "..."
"""What the system prompt says cut results end in."""

_GENERATION = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")


class Sample(NamedTuple):
    """One training example; both lists have one entry a token."""

    input_ids: list[int]
    labels: list[int]
    """The same ids where the token is learned, `IGNORED` elsewhere. A model predicts entry i from the ids before i."""


class UnusableConversation(ToolbenchError):
    """This conversation cannot be learned from; `reason` is a short code to count by."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Chat:
    """A conversation before its tokenizer."""

    def __init__(self, conversation: Conversation, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.messages = _plain(conversation.messages)
        self.tools = json.loads(conversation.tools) or None
        self.tokenizer = tokenizer

    def encode(self, end: int | None = None, **options: Any) -> Any:
        """The first `end` messages through the chat template. Raises UnusableConversation if the template refuses."""
        try:
            return self.tokenizer.apply_chat_template(
                self.messages[:end],
                **{"tools": self.tools, "tokenize": True, "return_dict": True, **options},
            )
        # Templates are programs: they raise what they like about roles, orders and types.
        except Exception as error:
            raise UnusableConversation(
                "template", f"The base's chat template cannot show a conversation of this kind ({error})."
            ) from error

    def ids(self, end: int | None = None, *, prompt: bool = False) -> list[int]:
        """Token ids of the first `end` messages, with the opening of the assistant's next turn if `prompt`."""
        return list(self.encode(end, add_generation_prompt=prompt)["input_ids"])


def sample(conversation: Conversation, tokenizer: "PreTrainedTokenizerBase", max_tokens: int | None = None) -> Sample:
    """Tokens and labels of a conversation; a label is set on every token of the turns with `train`, up to the token
    that ends the turn, and on nothing else: neither on the template's role header nor on other turns.

    A template that marks the assistant's text with `{% generation %}` says itself what is learned. Otherwise the
    conversation is rendered up to before each trained turn (with the template's generation prompt) and up to its end;
    what the longer has more is that turn, provided that each rendering continues the one before token by token.

    Where there are more than `max_tokens` tokens, all observations are cut to the greatest common length in characters
    that fits, at least 64; targets are never cut.

    Raises UnusableConversation with the reason `nothing_to_learn`, `too_long` or `template`.
    """
    trained = [n for n, m in enumerate(conversation.messages) if m.train and m.role == "assistant"]
    if not trained:
        raise UnusableConversation("nothing_to_learn", f"Conversation {conversation.id} has no turn to learn from.")
    if max_tokens is not None:
        conversation = _fitting(conversation, tokenizer, max_tokens)
    chat = _Chat(conversation, tokenizer)
    spans = _marked(chat, trained)
    ids = chat.ids()
    labels = [IGNORED] * len(ids)
    for start, end in spans if spans is not None else _by_prefixes(chat, trained, ids):
        labels[start:end] = ids[start:end]
    result = Sample(ids, labels)
    _check_shown(chat, trained, result)
    return result


def _plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as chat templates expect them: OpenAI's shape, but arguments as objects and observations named."""
    names = {call.id: call.name for m in messages for call in m.tool_calls}
    out: list[dict[str, Any]] = []
    for message in messages:
        plain: dict[str, Any] = {"role": message.role, "content": message.content or ""}
        if message.tool_calls:
            plain["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": _object(c.arguments)}}
                for c in message.tool_calls
            ]
        if message.role == "tool" and message.tool_call_id is not None:
            plain |= {"tool_call_id": message.tool_call_id, "name": names.get(message.tool_call_id, "")}
        out.append(plain)
    return out


def _object(arguments: str) -> Any:
    """The arguments as an object; as the text they are where the model did not write one."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


def _marked(chat: _Chat, trained: Sequence[int]) -> list[tuple[int, int]] | None:
    """The trained turns' spans of tokens as the template marks them; None if it does not mark turn by turn."""
    template = chat.tokenizer.get_chat_template(None, chat.tools)
    if not chat.tokenizer.is_fast or not _GENERATION.search(template):
        return None
    mask = chat.encode(return_assistant_tokens_mask=True)["assistant_masks"]
    spans, at = [], 0
    for learned, run in groupby(mask):
        start, at = at, at + len(list(run))
        if learned:
            spans.append((start, at))
    turns = [n for n, m in enumerate(chat.messages) if m["role"] == "assistant"]
    if len(spans) == len(turns):
        return [span for turn, span in zip(turns, spans, strict=True) if turn in trained]
    return spans if spans and len(trained) == len(turns) else None


def _by_prefixes(chat: _Chat, trained: Sequence[int], whole: list[int]) -> Iterator[tuple[int, int]]:
    """The trained turns' spans of tokens, by rendering the conversation up to before and up to the end of each."""
    for n in trained:
        before, through = chat.ids(n, prompt=True), chat.ids(n + 1)
        if len(through) <= len(before) or through[: len(before)] != before:
            raise UnusableConversation(
                "template",
                f"The base's chat template does not continue its generation prompt with message {n + 1}, so what is "
                "learned cannot be told from what is read: mark it with {% generation %} in the template.",
            )
        if whole[: len(through)] != through:
            raise UnusableConversation(
                "template",
                f"The base's chat template shows message {n + 1} otherwise once more messages follow, so no sample "
                "holds every turn as the model would write it: mark the turns with {% generation %} in the template.",
            )
        yield len(before), _end_of_turn(through, len(before), chat.tokenizer.eos_token_id)


def _end_of_turn(ids: list[int], start: int, eos: int | list[int] | None) -> int:
    """Behind the last end-of-turn token: a line break after it is the template's, no model gets to write it."""
    return next((n + 1 for n in range(len(ids) - 1, start - 1, -1) if ids[n] == eos), len(ids))


def _fitting(conversation: Conversation, tokenizer: "PreTrainedTokenizerBase", max_tokens: int) -> Conversation:
    """The conversation with its observations as long as `max_tokens` allows."""

    def fits(candidate: Conversation) -> bool:
        return len(_Chat(candidate, tokenizer).ids()) <= max_tokens

    if fits(conversation):
        return conversation
    if not fits(_shortened(conversation, _SHORTEST)):
        raise UnusableConversation(
            "too_long",
            f"Conversation {conversation.id} has more than {max_tokens} tokens even with its observations cut to "
            f"{_SHORTEST} characters: raise max_tokens or leave it out.",
        )
    low, high = _SHORTEST, max((len(m.content or "") for m in conversation.messages if m.role == "tool"), default=0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(_shortened(conversation, middle)) else (low, middle - 1)
    return _shortened(conversation, low)


def _shortened(conversation: Conversation, limit: int) -> Conversation:
    """Observations of more than `limit` characters cut there."""
    messages = [
        replace(m, content=m.content[:limit] + _CUT) if m.role == "tool" and m.content and len(m.content) > limit else m
        for m in conversation.messages
    ]
    return replace(conversation, messages=messages)


def _check_shown(chat: _Chat, trained: Sequence[int], made: Sample) -> None:
    """Templates drop silently what they do not know: a student must have read its functions and learn its calls."""
    learned = str(chat.tokenizer.decode([label for label in made.labels if label != IGNORED]))
    called = [call["function"]["name"] for n in trained for call in chat.messages[n].get("tool_calls", ())]
    left_out = "the assistant's calls" if any(name not in learned for name in called) else ""
    if chat.tools and chat.encode(tools=None)["input_ids"] == made.input_ids:
        left_out = "the offered functions"
    if left_out:
        raise UnusableConversation(
            "template",
            f"The base's chat template leaves out {left_out}: take a base whose template knows functions, or give its "
            "folder another chat_template.jinja.",
        )
