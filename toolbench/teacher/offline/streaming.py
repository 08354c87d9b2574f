"""Server-sent events: a completion cut into the chunks that OpenAI's streaming sends."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PIECE = re.compile(r"(?:\s*\S+){1,3}\s*|\s+")


def _deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The message in pieces of a few words, text first; putting them together gives the message again."""
    yield {"role": "assistant", "content": None if message["content"] is None else ""}
    for key in ("content", "refusal"):
        yield from ({key: piece} for piece in _PIECE.findall(message[key] or ""))
    for index, call in enumerate(message.get("tool_calls") or ()):
        head = {"id": call["id"], "type": "function", "function": {"name": call["function"]["name"], "arguments": ""}}
        yield {"tool_calls": [{"index": index, **head}]}
        for piece in _PIECE.findall(call["function"]["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def events(completion: Mapping[str, Any], include_usage: bool) -> Iterator[str]:
    """The `data:` events of a completion, `[DONE]` last; before it the usage, if it was asked for."""
    head = {
        **{key: completion[key] for key in ("id", "created", "model", "system_fingerprint")},
        "object": "chat.completion.chunk",
    }
    (choice,) = completion["choices"]
    usage = {"usage": None} if include_usage else {}

    def event(choices: list[dict[str, Any]], extra: Mapping[str, Any]) -> str:
        return f"data: {json.dumps({**head, 'choices': choices, **extra}, separators=(',', ':'))}\n\n"

    for delta in _deltas(choice["message"]):
        yield event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}], usage)
    yield event([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}], usage)
    if include_usage:
        yield event([], {"usage": completion["usage"]})
    yield "data: [DONE]\n\n"
