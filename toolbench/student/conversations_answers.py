"""One of ToolBench's answer files as a conversation: what its last training sample tells of the chosen path.

`train_messages` holds one sample a turn of the assistant, each with all that came before; the last is the whole path,
from the root of the tree to the final answer or the give-up. Branches that were left are in the tree alone, but for the
user messages that told the model of them (after the first, in our files with `valid` false): these are dropped.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from toolbench.records import Conversation
from toolbench.student.chat import UnusableConversation
from toolbench.student.conversations_words import Told, malformed


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Call(_Part):
    name: str
    arguments: str = "{}"


class _Said(_Part):
    role: Literal["system", "user", "assistant", "function"]
    content: str | None = None
    function_call: _Call | None = None


class _Generation(_Part):
    valid_data: bool
    query: str = ""
    function: list[dict[str, Any]] = []
    train_messages: list[list[_Said]] = []


class _Document(_Part):
    answer_generation: _Generation


def from_answer(document: Any, name: str) -> Conversation:
    """The conversation along the chosen path of an answer.

    Raises UnusableConversation: `no_answer` if no path was chosen, `malformed`, `no_functions`.
    """
    try:
        found = _Document.model_validate(document).answer_generation
    except (ValidationError, RecursionError) as error:
        why = "its tree is nested too deeply"
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            why = f"the field {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise malformed(name, why) from None
    if not found.valid_data or not found.train_messages:
        raise UnusableConversation("no_answer", f"{name} has no chosen path.")
    told = Told(name, instruction=found.query, functions=found.function)
    for message in found.train_messages[-1]:
        if message.role == "system":
            told.system = told.system or message.content or ""
        elif message.role == "assistant":
            call = message.function_call
            told.thought(message.content, (call.name, call.arguments) if call else None)
        elif message.role == "function":
            told.observed(message.content or "")
        elif not told.instruction:
            told.instruction = message.content or ""
    return told.conversation()
