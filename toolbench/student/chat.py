"""A conversation and the chat template that shows it: what is rendered, and what the template is at fault for."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from toolbench.errors import ToolbenchError
from toolbench.records import Conversation, Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Span = tuple[int, int]
"""The first character and the one behind the last."""

_PROBE = "probe_of_the_slot"
FUNCTION = {
    "type": "function",
    "function": {"name": _PROBE, "description": "", "parameters": {"type": "object", "properties": {}}},
}


class UnusableConversation(ToolbenchError):
    """This conversation cannot be learned from; `reason` is a short code to count by."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Chat:
    """A conversation and the chat template that shows it."""

    def __init__(self, conversation: Conversation, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.messages = plain(conversation.messages)
        self.tools: list[dict[str, Any]] | None = json.loads(conversation.tools) or None
        self.template = str(tokenizer.get_chat_template(None, self.tools))
        self.specials = _specials(tokenizer)
        self.variables = dict(tokenizer.special_tokens_map)
        self._rendered: dict[tuple[int, bool], str] = {}

    def text(self, end: int | None = None, *, prompt: bool = False) -> str:
        """The first `end` messages as text, with the opening of the assistant's next turn if `prompt`.

        Raises UnusableConversation if the template refuses them.
        """
        key = (len(self.messages) if end is None else end, prompt)
        if key not in self._rendered:
            self._rendered[key] = self.render(self.messages[: key[0]], prompt)[0]
        return self._rendered[key]

    def render(
        self, messages: Sequence[dict[str, Any]], prompt: bool = False, marked: bool = False
    ) -> tuple[str, list[Span]]:
        """Messages as text; with `marked`, also what the template marks by `{% generation %}`."""
        try:
            text, found = _jinja(
                messages, self.template, self.tools, self.variables, return_assistant_tokens_mask=marked,
                add_generation_prompt=prompt,
            )  # fmt: skip
        # Templates are programs: they raise what they like about roles, orders and types.
        except Exception as error:
            raise at_fault(f"cannot show a conversation of this kind ({error})") from error
        return text, found if marked else []


@lru_cache(maxsize=16)
def shows_tools(template: str, variables: tuple[tuple[str, Any], ...]) -> bool:
    """Whether a chat template has a slot for functions: templates drop silently what they do not know."""
    try:
        text, _ = _jinja([{"role": "user", "content": "?"}], template, [FUNCTION], dict(variables))
    except Exception:  # as above
        return False
    return _PROBE in text


def _jinja(
    messages: Sequence[dict[str, Any]], template: str, tools: Any, variables: dict[str, Any], **options: Any
) -> tuple[str, list[Span]]:
    """What a chat template makes of messages, as transformers renders it, with the spans that it marks."""
    from transformers.utils import chat_template_utils

    render: Any = chat_template_utils.render_jinja_template
    (text,), found = render(
        conversations=[list(messages)], tools=tools, chat_template=template, **{**variables, **options}
    )
    return text, [(start, end) for start, end in found[0]] if found else []


def plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as chat templates expect them: OpenAI's shape, but arguments as objects and observations named."""
    names = {call.id: call.name for m in messages for call in m.tool_calls}
    out: list[dict[str, Any]] = []
    for message in messages:
        shown: dict[str, Any] = {"role": message.role, "content": message.content or ""}
        if message.tool_calls:
            shown["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": _object(c.arguments)}}
                for c in message.tool_calls
            ]
        if message.role == "tool" and message.tool_call_id is not None:
            shown |= {"tool_call_id": message.tool_call_id, "name": names.get(message.tool_call_id, "")}
        out.append(shown)
    return out


def _object(arguments: str) -> Any:
    """The arguments as an object; as the text they are where the model did not write one."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


ANOTHER = (
    "take a base whose template knows functions, give its folder another chat_template.jinja, or write the calls as "
    "ReAct text"
)
MARK_IT = "mark the assistant's turns with {% generation %} in the template"


def at_fault(what: str, way_out: str = "") -> UnusableConversation:
    return UnusableConversation("template", f"The base's chat template {what}{': ' if way_out else ''}{way_out}.")


@lru_cache(maxsize=16)
def _specials_of(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name.strip()}, key=len, reverse=True))


def _specials(tokenizer: "PreTrainedTokenizerBase") -> tuple[str, ...]:
    """The texts of the tokens that may end a turn."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values())
    return _specials_of((*added, *(str(token) for token in tokenizer.all_special_tokens)))


def end_of_turn(text: str, start: int, specials: Sequence[str]) -> int:
    """The end of a turn that `text` ends with: behind the token that ends it, if there is one."""
    kept = text.rstrip()
    return len(kept) if len(kept) > start and kept.endswith(tuple(specials)) else len(text)
