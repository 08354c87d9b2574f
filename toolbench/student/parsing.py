"""What a model wrote as the thought and the calls that it means, in the format of its chat template."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from toolbench.react_text import parse_react

Format = Literal["hermes", "llama3_json", "mistral", "react"]
"""How calls are written. The first three are also the names of vLLM's parsers."""

FORMATS: tuple[Format, ...] = get_args(Format)

MARKERS = frozenset({"<tool_call>", "</tool_call>", "<|python_tag|>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"})
"""Tokens that say where a call is. Many vocabularies count them as special; a decoder must not drop them."""

_HERMES = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|(?=<tool_call>)|\Z)", re.DOTALL)
_BROKEN = re.compile(
    r'\{\s*"name"\s*:\s*"(?P<name>[^"]*)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?P<rest>.*)', re.DOTALL
)
_NAMED = re.compile(r"\s*(?P<name>[^\s\[{]+)\s*(?:\[CALL_ID\]\s*\w+\s*)?(?:\[ARGS\])?\s*(?P<rest>\{.*)", re.DOTALL)
_DECODER = json.JSONDecoder()


class Call(NamedTuple):
    """A call as it was written: `arguments` is JSON text, or what the model wrote in its place."""

    name: str
    arguments: str


class Said(NamedTuple):
    """A reply taken apart."""

    content: str | None
    """The text before the calls; all of it where there is no call."""
    calls: list[Call]


def format_of(template: str) -> Format:
    """The format that a chat template teaches, by its markers; `hermes` where none is found."""
    if "[TOOL_CALLS]" in template:
        return "mistral"
    if "<tool_call>" in template:
        return "hermes"
    if "<|python_tag|>" in template or ("<|start_header_id|>" in template and "parameters" in template):
        return "llama3_json"
    return "react" if "Action Input:" in template else "hermes"


def parse(text: str, how: Format) -> Said:
    """Text and calls of a reply. Never raises: what cannot be read as a call is text.

    A call whose JSON is broken but whose name is legible stays a call, with its arguments as they were written: who
    asked can then tell the model what is wrong with them.
    """
    said = _PARSERS[how](text)
    return Said(said.content.strip() or None if said.content else None, said.calls)


def opening(how: Format, name: str = "") -> str:
    """How a reply begins that is a call, of the function `name` if given: a model made to go on from it has to call."""
    begun = {
        "hermes": '<tool_call>\n{"name": "',
        "llama3_json": '{"name": "',
        "mistral": '[TOOL_CALLS] [{"name": "',
        "react": "Action: ",
    }[how]
    if not name:
        return begun
    key = "parameters" if how == "llama3_json" else "arguments"
    return f"{begun}{name}\nAction Input: " if how == "react" else f'{begun}{name}", "{key}": '


def _hermes(text: str) -> Said:
    """`<tool_call>{"name": …, "arguments": …}</tool_call>`, any number of them: Hermes 2 Pro, Qwen 2.5 and 3."""
    first = text.find("<tool_call>")
    if first < 0:
        return Said(text, [])
    found = [_call(match[1]) for match in _HERMES.finditer(text, first)]
    calls = [call for call in found if call]
    return Said(text[:first], calls) if calls else Said(text, [])


def _llama3(text: str) -> Said:
    """A reply that is one JSON object a call, with `parameters`, separated by `;`; `<|python_tag|>` may come first."""
    before, tag, after = text.partition("<|python_tag|>")
    said, rest = (before, after) if tag else ("", text)
    calls: list[Call] = []
    rest = rest.strip()
    while rest.startswith("{"):
        value, end = _decoded(rest)
        call = _as_call(value) if end else _broken(rest)
        if call is None:
            break
        calls.append(call)
        rest = rest[end:].lstrip(" ;\n") if end else ""
    return Said(said, calls) if calls else Said(text, [])


def _mistral(text: str) -> Said:
    """`[TOOL_CALLS] [{…}, …]`, or as newer templates have it `[TOOL_CALLS]name[ARGS]{…}`, once a call."""
    said, marker, rest = text.partition("[TOOL_CALLS]")
    if not marker:
        return Said(text, [])
    value, end = _decoded(rest.lstrip())
    if end and isinstance(value, list):
        calls = [call for call in map(_as_call, value) if call]
    elif rest.lstrip().startswith(("[", "{")):
        calls = [call for call in [_call(rest.strip().strip("[]"))] if call]
    else:
        matches = [_NAMED.fullmatch(part.strip()) for part in rest.split("[TOOL_CALLS]")]
        calls = [Call(m["name"], _first_object(m["rest"])) for m in matches if m]
    return Said(said, calls) if calls else Said(text, [])


def _react(text: str) -> Said:
    thought, calls = parse_react(text)
    return Said(thought, [Call(c.name, c.arguments) for c in calls if c.name])


_PARSERS: Mapping[Format, Callable[[str], Said]] = {
    "hermes": _hermes,
    "llama3_json": _llama3,
    "mistral": _mistral,
    "react": _react,
}


def _call(text: str) -> Call | None:
    value, end = _decoded(text)
    return _as_call(value) if end else _broken(text)


def _as_call(value: Any) -> Call | None:
    """`{"name": …, "arguments" or "parameters": …}`; arguments may be an object, or JSON as text."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    return Call(value["name"], arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False))


def _broken(text: str) -> Call | None:
    """A call whose JSON does not end, or not well."""
    match = _BROKEN.match(text.strip())
    if not match or not match["name"]:
        return None
    return Call(match["name"], _first_object(match["rest"]))


def _first_object(text: str) -> str:
    """The JSON value that the text begins with, as it stands there; all of the text where there is none."""
    _, end = _decoded(text)
    return text[:end] if end else text.strip()


def _decoded(text: str) -> tuple[Any, int]:
    """The JSON value at the start and where it ends; 0 where there is none."""
    try:
        return _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None, 0
