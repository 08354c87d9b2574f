"""A chat completion as endpoints really send it, read into a `Reply`."""

import json
from collections.abc import Mapping
from typing import Any

from toolbench.records import FunctionCall, Reply
from toolbench.teacher.counts import Counts


def read(completion: Mapping[str, Any], model: str, prices: tuple[float, float], counts: Counts) -> Reply:
    """The reply in a completion's JSON; `prices` in dollars per million tokens in and out.

    Nothing about its shape is taken for granted. What is wrong with it is in `Reply.error` and in `counts`.
    """
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    tokens_in, tokens_out = usage(completion)
    if not isinstance(choice, dict) or not isinstance(message, dict) or not message:
        counts.malformed += 1
        return Reply(error="the endpoint answered without a choice")
    finish = _text(choice.get("finish_reason"))
    calls = [c for c in (_call(call) for call in _list(message.get("tool_calls"))) if c]
    counts.truncated += finish == "length"
    counts.malformed += not all(_is_object(call.arguments) for call in calls)
    error = ""
    if refusal := _text(message.get("refusal")):
        error = f"the teacher refused: {' '.join(refusal.split())[:200]}"
        counts.refusals += 1
    elif finish == "content_filter":
        error = "the endpoint's content filter held the reply back"
        counts.content_filter += 1
    return Reply(
        # Providers differ in what they send with a call: null or an empty string. Both mean: no thought.
        content=_text(message.get("content")) or None,
        reasoning=_text(message.get("reasoning_content")) or _text(message.get("reasoning")) or None,
        calls=calls,
        finish_reason=finish,
        model=_text(completion.get("model")) or model,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost=round((tokens_in * prices[0] + tokens_out * prices[1]) / 1e6, 9),
        error=error,
    )


def usage(completion: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens in and out; 0 for what is not said."""
    said = completion.get("usage")
    said = said if isinstance(said, dict) else {}
    return _whole(said.get("prompt_tokens")), _whole(said.get("completion_tokens"))


def _call(call: Any) -> FunctionCall | None:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return None
    # Some servers leave out `type`, or send the arguments as an object.
    arguments = function.get("arguments")
    return FunctionCall(
        id=_text(call.get("id")),
        name=_text(function.get("name")),
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False),
    )


def _text(value: Any) -> str:
    """A string; of content in parts, as some servers send it, the texts."""
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
