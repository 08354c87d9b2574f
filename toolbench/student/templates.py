"""How a student writes its calls: as its own chat template has them, or as ReAct text where that has no slot for them.

The ReAct template is a chat template like any other. It is saved with the adapter's tokenizer, so that who serves the
student gives it functions and calls in OpenAI's shape all the same; only its replies have to be read as text.
"""

from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from toolbench.errors import ToolbenchError
from toolbench.records import Conversation, Message
from toolbench.student.chat import shows_tools

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Style = Literal["native", "react"]
Calls = Literal["auto", "native", "react"]
"""`auto`: the base's own chat template if it shows functions, else ReAct text."""


@cache
def react() -> str:
    """The ReAct chat template (Yao et al. 2023, arXiv 2210.03629; ToolLLM, section 3.1), one call a turn."""
    return files("toolbench.student").joinpath("prompts", "react.jinja").read_text(encoding="utf-8")


def choose(tokenizer: "PreTrainedTokenizerBase", calls: Calls) -> Style:
    """Give the tokenizer the chat template for `calls`, and say which style that is.

    Raises ToolbenchError if `native` is asked of a template without a slot for functions, or if ReAct text would have
    no token that ends a turn.
    """
    if calls != "react" and native(tokenizer):
        return "native"
    if calls == "native":
        raise ToolbenchError(
            f"The chat template of the base `{tokenizer.name_or_path}` shows no functions: have its calls written as "
            "text with --calls react, or give its folder another chat_template.jinja."
        )
    if not tokenizer.eos_token:
        raise ToolbenchError(
            f"The tokenizer of the base `{tokenizer.name_or_path}` names no eos_token, so that nothing could end a "
            "turn: name one in its tokenizer_config.json."
        )
    tokenizer.chat_template = react()
    return "react"


def native(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether the tokenizer's own chat template has a slot for functions."""
    if not tokenizer.chat_template:
        return False
    # A tokenizer may have several templates, one of them for tools.
    template = str(tokenizer.get_chat_template(None, [{}]))
    return shows_tools(template, tuple(sorted(tokenizer.special_tokens_map.items())))


def one_call_a_turn(conversation: Conversation) -> Conversation:
    """The conversation with each call in a turn of its own, its observation behind it; the first keeps the thought.

    For templates that show one call a turn, as ReAct text and Llama 3's do.
    """
    if all(len(m.tool_calls) < 2 for m in conversation.messages):
        return conversation
    answers = {m.tool_call_id: m for m in conversation.messages if m.role == "tool"}
    split = {call.id for m in conversation.messages if len(m.tool_calls) > 1 for call in m.tool_calls}
    messages: list[Message] = []
    for message in conversation.messages:
        if len(message.tool_calls) < 2:
            if not (message.role == "tool" and message.tool_call_id in split):
                messages.append(message)
            continue
        for number, call in enumerate(message.tool_calls):
            messages.append(replace(message, content=None if number else message.content, tool_calls=[call]))
            messages += [answers[call.id]] if call.id in answers else []
    return replace(conversation, messages=messages)
