"""ToolBench's released training data, a JSON list that is read item by item.

    {"id": "Step 3: <instruction>", "conversations": [{"from": "system" | "user" | "function" | "assistant", "value"}]}

There is one item a turn with a call, with all that came before it; items of one path follow each other. Only the last
of a path is kept, so that a path is one conversation; `Making.per_turn` takes it apart again. The assistant writes
`Thought: … Action: … Action Input: …`, the functions stand in the system prompt as a list. User messages after the
first tell of other branches and are dropped.
"""

import ast
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal

import ijson  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, ValidationError

from toolbench.errors import SourceError
from toolbench.records import Conversation
from toolbench.student.chat import UnusableConversation
from toolbench.student.conversations_words import Told, malformed

_STEP = re.compile(r"^Step \d+:\s*")
_TURN = re.compile(
    r"\A\s*(?:Thought:[ \t]*)?(?P<thought>.*?)\s*"
    r"^Action:[ \t]*(?P<name>[^\n]*?)[ \t]*\n+Action Input:[ \t]*(?P<input>.*)\Z",
    re.DOTALL | re.MULTILINE,
)
_LISTS = 8
"""Places where the list of functions may begin that are tried."""


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, populate_by_name=True)

    role: Literal["system", "user", "assistant", "function"]
    value: str


class _Item(BaseModel):
    model_config = ConfigDict(strict=True)

    id: str = ""
    conversations: list[_Said]

    def continues(self, other: "_Item") -> bool:
        """Whether it tells the same path as `other`, and more of it."""
        mine, its = _turns(self), _turns(other)
        return _STEP.sub("", self.id) == _STEP.sub("", other.id) and mine[: len(its)] == its


def released(file: BinaryIO, name: str) -> Iterator[Conversation | UnusableConversation]:
    """The conversations of a file. Raises SourceError where it stops being JSON: the rest cannot be read."""
    last: tuple[int, _Item] | None = None
    for number, raw in enumerate(_items(file, name)):
        try:
            item = _item(raw, f"{name}#{number}")
        except UnusableConversation as error:
            yield error
            continue
        if last and not item.continues(last[1]):
            yield _conversation(last[1], f"{name}#{last[0]}")
        last = number, item
    if last:
        yield _conversation(last[1], f"{name}#{last[0]}")


def _items(file: BinaryIO, name: str) -> Iterator[Any]:
    try:
        yield from ijson.items(file, "item", use_float=True)
    except (ijson.JSONError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise SourceError(
            f"The training data {name} cannot be read to its end: it is no valid JSON ({reason})."
        ) from None


def _item(raw: Any, name: str) -> _Item:
    try:
        said = [{"role": m["from"], "value": m["value"]} for m in raw["conversations"]]
        return _Item.model_validate({"id": raw.get("id", ""), "conversations": said})
    except (ValidationError, TypeError, KeyError, AttributeError) as error:
        why = "it has no `conversations` of `from` and `value`"
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            why = f"the field {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise malformed(name, why) from None


def _turns(item: _Item) -> list[tuple[str, str]]:
    return [(m.role, m.value) for m in item.conversations if m.role in ("assistant", "function")]


def _conversation(item: _Item, name: str) -> Conversation | UnusableConversation:
    told = Told(name)
    try:
        for message in item.conversations:
            if message.role == "system" and not told.system:
                told.system, told.functions = message.value, functions_in(message.value)
            elif message.role == "assistant":
                told.thought(*turn_in(message.value))
            elif message.role == "function":
                told.observed(message.value)
            elif message.role == "user" and not told.instruction:
                told.instruction = message.value
        return told.conversation()
    except UnusableConversation as error:
        return error


def turn_in(text: str) -> tuple[str | None, tuple[str, str] | None]:
    """Thought and call of a turn written as ReAct text."""
    found = _TURN.match(text)
    if not found:
        return text.strip().removeprefix("Thought:").strip() or None, None
    return found["thought"].strip() or None, (found["name"], found["input"].strip())


def functions_in(system: str) -> list[dict[str, Any]]:
    """The list of functions that a system prompt ends with, as JSON or as a Python literal; empty if there is none."""
    starts = [m.start() for m in re.finditer(r"\[\s*\{", system)][:_LISTS]
    for start in starts:
        for read in (json.loads, ast.literal_eval):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", SyntaxWarning)  # about backslashes in their descriptions
                    value = read(system[start:].strip())
            except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
                continue
            if isinstance(value, list) and all(isinstance(f, dict) and isinstance(f.get("name"), str) for f in value):
                return json.loads(json.dumps(value, default=str))  # type: ignore[no-any-return]
    return []
