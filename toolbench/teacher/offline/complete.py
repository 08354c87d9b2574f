"""One chat completion as a pure function: OpenAI's request object in, OpenAI's response object out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from toolbench.digests import digest
from toolbench.errors import UsageError
from toolbench.teacher.offline import judge, keys, library, schema, write
from toolbench.teacher.offline.act import Turn, turn
from toolbench.teacher.offline.faults import Faults
from toolbench.teacher.offline.transcript import FINISH, fenced, text_of

MODEL = "offline-teacher"

_NO_FAULTS = Faults()
_REFUSAL = "I'm sorry, but I can't help with that request."
_TRANSPORT = ("stream", "stream_options")


class BadRequestError(UsageError):
    """The request is no chat completion request; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def digest_of(request: Mapping[str, Any]) -> str:
    """32 hex digits that name a request. Streaming is left out: it changes how a reply travels, not what it says.

    Raises BadRequestError if the request holds a number that JSON has not (NaN, Infinity).
    """
    try:
        return digest({key: value for key, value in request.items() if key not in _TRANSPORT}, 32)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(
            "The request holds a value that is not JSON: send finite numbers and less nesting."
        ) from error


def complete(request: Mapping[str, Any], faults: Faults | None = None, attempt: int = 0) -> dict[str, Any]:
    """The `chat.completion` object for a request; the same for equal `request`, `faults` and `attempt`, on any machine.

    `attempt` counts how often the request was sent before; it moves nothing but the faults. `usage` is an estimate: a
    token for every four characters. Raises BadRequestError for a request that no endpoint would take.
    """
    faults, key = faults or _NO_FAULTS, digest_of(request)
    _check(request)
    reply = _reply(request, key, faults, attempt)
    message: dict[str, Any] = {"role": "assistant", "content": reply.content, "refusal": None}
    finish = "stop"
    if faults.hits("refusal", key, attempt):
        message |= {"content": None, "refusal": _REFUSAL}
    elif reply.name:
        call = {
            "id": f"call_{key[:24]}",
            "type": "function",
            "function": {"name": reply.name, "arguments": reply.arguments},
        }
        message["tool_calls"], finish = [call], "tool_calls"
    asked = sum(
        len(text_of(m.get("content"))) + len(json.dumps(m.get("tool_calls") or "")) for m in request["messages"]
    )
    asked += len(json.dumps(request.get("tools") or ""))
    told = len(message["content"] or message["refusal"] or "") + (
        len(reply.name) + len(reply.arguments) if finish == "tool_calls" else 0
    )
    return {
        "id": f"chatcmpl-{key}",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {"prompt_tokens": asked // 4, "completion_tokens": told // 4, "total_tokens": asked // 4 + told // 4},
        "system_fingerprint": None,
    }


def _check(request: Mapping[str, Any]) -> None:
    """What must hold of the request's shape before the rules read it."""
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("'messages' must be a list of at least one message.", "messages")
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadRequestError("Every item of 'messages' must be an object with a 'role'.", "messages")
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list) or not all(
            isinstance(c, dict) and isinstance(c.get("function"), dict) for c in calls
        ):
            raise BadRequestError("'tool_calls' must be a list of objects with a 'function'.", "messages")
    tools = request.get("tools") or []
    if not isinstance(tools, list) or not all(
        isinstance(t, dict) and isinstance(t.get("function"), dict) for t in tools
    ):
        raise BadRequestError("'tools' must be a list of objects with a 'function'.", "tools")
    if request.get("n") not in (None, 1):
        raise BadRequestError("The offline teacher gives one choice a request: leave 'n' out or send 1.", "n")


def _reply(request: Mapping[str, Any], key: str, faults: Faults, attempt: int) -> Turn:
    messages, tools, rng = request["messages"], request.get("tools"), Random(key)
    if tools:
        reply = turn(messages, tools, request.get("tool_choice", "auto"), rng)
        if reply.name not in ("", FINISH) and faults.hits("hallucination", key, attempt):
            reply = Turn(reply.content, _invented(reply.name, key), reply.arguments)
    else:
        try:
            reply = Turn(_content(messages, request.get("response_format"), key, faults, attempt, rng))
        except (TypeError, KeyError, IndexError, AttributeError) as error:
            # Only a schema is walked without checking every step: what breaks here is one that is none.
            raise BadRequestError("'response_format' holds no valid JSON Schema.", "response_format") from error
    if not faults.hits("malformed", key, attempt):
        return reply
    if reply.name:
        return Turn(reply.content, reply.name, reply.arguments[: max(1, len(reply.arguments) // 2)])
    return Turn(reply.content[: len(reply.content) // 2])


def _invented(name: str, key: str) -> str:
    """A function name that looks right and is not."""
    api, _, tool = name.rpartition("_for_")
    return f"{api or name}_{key[:4]}_for_{tool}"[-64:] if api else f"{name}_{key[:4]}"[-64:]


def _content(
    messages: Sequence[Mapping[str, Any]], form: Any, key: str, faults: Faults, attempt: int, rng: Random
) -> str:
    """The text reply, chosen by the shape of the JSON blocks in the request, never by its prose."""
    form = form if isinstance(form, dict) else {}
    wanted = (form.get("json_schema") or {}).get("schema") if form.get("type") == "json_schema" else None
    wanted = wanted if isinstance(wanted, dict) else {}
    for block in fenced(messages):
        if isinstance(block.get("apis"), list):
            return _json(_instructions(block, wanted, key, faults, attempt, rng))
        if isinstance(block.get("responses"), list):
            return _json(_shaped(wanted, {"keys": keys.keys(block)}, rng))
        if isinstance(block.get("candidates"), dict):
            return judge.further(block)
        if "instruction" in block and "answer" in block:
            judged = judge.verdict(block)
            return _json(_shaped(wanted, {"verdict": judged.verdict, "reason": judged.reason}, rng))
        if "instruction" in block and isinstance(block.get("functions"), list):
            found = judge.task_status(block)
            return _json(_shaped(wanted, {"task_status": found.verdict, "reason": found.reason}, rng))
        if isinstance(block.get("documents"), list) and isinstance(block.get("question"), str):
            return library.loading(block)
        name, choices = next(_enums(wanted), ("", []))
        if name and sum(isinstance(block.get(choice), dict) for choice in choices) == 2:
            choice, reason = judge.preference(block, choices)
            return _json(_shaped(wanted, {name: choice, "reason": reason}, rng))
    if wanted:
        return _json(schema.instance(wanted, rng))
    if form.get("type") in ("json_object", "json_schema"):
        return "{}"
    return "I am the offline teacher: I write instructions, choose calls and judge answers by rules, nothing else."


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _enums(wanted: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The properties of a schema that choose from a list of texts."""
    properties = wanted.get("properties")
    for name, one in properties.items() if isinstance(properties, dict) else ():
        choices = one.get("enum") if isinstance(one, dict) else None
        if isinstance(choices, list) and choices and all(isinstance(choice, str) for choice in choices):
            yield name, choices


def _shaped(wanted: Mapping[str, Any], known: Mapping[str, Any], rng: Random) -> dict[str, Any]:
    """`known` in the form of the schema: what else it requires is added, what it does not have is left out."""
    properties = wanted.get("properties")
    if not isinstance(properties, dict):
        return dict(known)
    rest = {key: value for key, value in schema.instance(wanted, rng).items() if key not in known}
    return {**{key: value for key, value in known.items() if key in properties}, **rest}


def _instructions(
    block: Mapping[str, Any], wanted: Mapping[str, Any], key: str, faults: Faults, attempt: int, rng: Random
) -> dict[str, Any]:
    items = ((wanted.get("properties") or {}).get("instructions") or {}).get("items") or {}
    rows = []
    for index, draft in enumerate(write.instructions(block, rng)):
        text, relevant = draft.instruction, list(draft.relevant)
        if faults.hits("leak", key, attempt, index):
            text += f" You can use {relevant[0]} for that."
        if faults.hits("hallucination", key, attempt, index):
            relevant[-1] = _invented(relevant[-1], key)
        rows.append(_shaped(items, {"instruction": text, "relevant_apis": relevant}, rng))
    return {"instructions": rows}
