"""The state of one search branch, read from the messages alone: the task, the calls made, what was tried elsewhere."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolbench.teacher.offline.observe import Observation, observation

FINISH = "Finish"
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL)
_NOTHING = Observation("the call was not answered", (), "")


@dataclass(frozen=True, slots=True)
class Call:
    """One call and its observation."""

    name: str
    arguments: Mapping[str, Any]
    observation: Observation


@dataclass(frozen=True, slots=True)
class Transcript:
    """`calls` were made on this branch, oldest first; `tried` elsewhere, as a diversity message lists them."""

    instruction: str
    calls: tuple[Call, ...]
    tried: tuple[Call, ...]
    diverse: bool

    def made(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether this very call was made before, here or on a sibling branch."""
        return any(call.name == name and dict(call.arguments) == dict(arguments) for call in (*self.calls, *self.tried))


def text_of(content: Any) -> str:
    """A message's text: a string, or the text parts of a list."""
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def fenced(messages: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The JSON objects in fenced blocks of the messages, the last message first."""
    for message in reversed(messages):
        for block in _FENCE.findall(text_of(message.get("content"))):
            try:
                value = json.loads(block)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                yield value


def arguments_of(raw: Any) -> dict[str, Any]:
    """The arguments of a call; an empty object where they are no JSON object."""
    try:
        value = json.loads(raw) if isinstance(raw, str) else raw
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Every JSON object that stands in `text`, alone or in a list."""
    decoder, at = json.JSONDecoder(), 0
    while (found := re.compile(r"[\[{]").search(text, at)) is not None:
        try:
            value, at = decoder.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            at = found.start() + 1
            continue
        yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict))


def transcript(messages: Sequence[Mapping[str, Any]]) -> Transcript:
    """Reads a conversation of an acting turn. The first user message holds the instruction."""
    users = [text_of(message.get("content")) for message in messages if message.get("role") == "user"]
    answers = {str(m.get("tool_call_id")): text_of(m.get("content")) for m in messages if m.get("role") == "tool"}
    calls: list[Call] = []
    for message in messages:
        for call in message.get("tool_calls") or () if message.get("role") == "assistant" else ():
            function = call.get("function") or {}
            seen = answers.get(str(call.get("id")))
            calls.append(
                Call(
                    str(function.get("name")),
                    arguments_of(function.get("arguments")),
                    observation(seen) if seen is not None else _NOTHING,
                )
            )
    tried: list[Call] = []
    for text in users[1:]:
        for item in _objects(text):
            if isinstance(item.get("name"), str) and "arguments" in item:
                output = item.get("function_output")
                seen = output if isinstance(output, str) else json.dumps(output)
                tried.append(Call(item["name"], arguments_of(item["arguments"]), observation(seen)))
    last_is_user = bool(messages) and messages[-1].get("role") == "user"
    return Transcript(users[0] if users else "", tuple(calls), tuple(tried), last_is_user and len(users) > 1)
