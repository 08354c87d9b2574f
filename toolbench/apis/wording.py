"""How ToolBench's tool server words the errors of calls, and which names it gives to things."""

import re
from collections.abc import Iterable

from toolbench.records import Api, Parameter

ERRORS = {
    1: "API not working error...",
    2: "Tool input parse error...\n",
    5: "Timeout error...",
    6: "API not working error...",
    7: "Unauthorized error...",
    8: "Unsubscribed error...",
    9: "Too many requests error...",
    10: "Rate limit per minute error...",
    11: "Message error...",
    12: "Sending failed error...",
}
"""Error texts by status code; the clients of those servers compare them letter by letter. The last one is ours."""

_CODES = {
    "timeout": 5, "not working": 6, "not found": 6, "unauthorized": 7, "unsubscribed": 8, "too many": 9,
    "rate limit": 10, "parse error": 2, "sending failed": 12,
}  # fmt: skip
_HASH = re.compile(r"-[0-9a-f]{8}$")
_KEYWORDS = frozenset(["from", "class", "return", "false", "true", "id", "and"])
_UNNAMED = "unnamed"


def status_of(error: str) -> int:
    """The status code of an error text, as ToolBench's tool server words them."""
    text = error.lower()
    if not text:
        return 0
    return next((code for words, code in _CODES.items() if words in text), 11)


def plain(name: str) -> str:
    """A name of ours without the hash that tells namesakes apart: ToolBench knows no such hash."""
    return _HASH.sub("", name)


def plain_id(api_id: str) -> str:
    """An API's id without hashes: `Weather/sun-1a2b3c4d/rise` → `Weather/sun/rise`."""
    category, _, rest = api_id.partition("/")
    return "/".join([category, *map(plain, rest.split("/"))])


def server_names(api: Api) -> tuple[str, str, str]:
    """(category, tool, API) as those servers expect them: folder name, standardised, standardised and made safe."""
    category, tool, name = [*plain_id(api.id).split("/"), "", ""][:3]
    tool, name = (
        own if plain_name == _UNNAMED else plain_name for plain_name, own in ((tool, api.tool), (name, api.name))
    )
    return category, tool, safe(name)


def safe(name: str) -> str:
    """An API's name with `is_` before the words that Python code could not use."""
    return f"is_{name}" if name in _KEYWORDS else name


def by_shown_name(parameters: Iterable[Parameter], arguments: dict[str, object]) -> dict[str, object]:
    """Arguments under the names our function shows, whatever they came under: those, plain ones, or the wire's."""
    known = list(parameters)
    names = {plain(p.shown_as): p.shown_as for p in known} | {p.name: p.shown_as for p in known}
    names |= {p.shown_as: p.shown_as for p in known}
    renamed = {names.get(name, name): value for name, value in arguments.items()}
    return renamed if len(renamed) == len(arguments) else arguments
