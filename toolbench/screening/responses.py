"""What is wrong with a response that arrived with a good status: nothing in it, a web page, an error message."""

import json
import re
from typing import Any, NamedTuple

from toolbench.screening.rulebook import ErrorKind, Rulebook

_EMPTY_TEXTS = frozenset(("", "null", "none", "{}", "[]", '""', "''", "b''", "undefined", "nan"))
_HTML = re.compile(
    r"\s*+(?:<!--(?:(?!-->).)*+-->\s*+)*+<(!doctype\s+html|html|head|body|title|h1)\b", re.IGNORECASE | re.DOTALL
)
_NOTHING_WRONG = frozenset(("", "0", "false", "none", "null", "no", "ok", "success", "no error", "n/a"))
_LITTLE = 400
"""Characters of content, as JSON, that an answer may carry beside the statement that it failed."""
_MAX_DEPTH = 3
_READ = 2000
"""Characters of a message that its words are looked for in."""


class Flaw(NamedTuple):
    """What is wrong with a response."""

    reason: str
    kind: ErrorKind | None = None
    """What the message is about, if the response is an error message."""


def flaw(response: Any, rules: Rulebook) -> Flaw | None:
    """The first thing that is wrong with a response; None for one that may be good."""
    if is_empty(response):
        return Flaw("empty")
    if isinstance(response, str):
        if _HTML.match(response):
            return Flaw("html")
        if _is_binary(response):
            return Flaw("binary")
    message = error_in(response, rules)
    if message is None:
        return None
    kind = kind_of(message, rules)
    return Flaw(kind.reason if kind else "error_in_success", kind)


def is_empty(response: Any) -> bool:
    """Nothing at all: null, an empty text, object or list, or the text of one. Zero and false are answers."""
    if isinstance(response, str):
        return response.strip().lower() in _EMPTY_TEXTS
    return response is None or response == {} or response == [] or response in ([None], [""], [{}], [[]])


def _is_binary(text: str) -> bool:
    """Bytes of a picture or the like, read as text."""
    head = text[:1000]
    strange = sum(c == "\ufffd" or (ord(c) < 32 and c not in "\t\n\r") for c in head)
    return strange > 0.05 * len(head)


def kind_of(message: str, rules: Rulebook) -> ErrorKind | None:
    """What an error message is about; None if no kind knows its words."""
    text = message[:_READ]
    return next((kind for kind in rules.errors if any(p.search(text) for p in kind.patterns)), None)


def error_in(response: Any, rules: Rulebook, depth: int = 0) -> str | None:
    """The message of a response that is nothing but an error; None if it has content."""
    if depth > _MAX_DEPTH:
        return None
    if isinstance(response, str):
        return _error_in_text(response, rules, depth)
    if isinstance(response, list):
        return error_in(response[0], rules, depth + 1) if len(response) == 1 else None
    if not isinstance(response, dict):
        return None
    return _stated(response, rules) or _flagged(response, rules) or _only_message(response, rules, depth)


def _error_in_text(text: str, rules: Rulebook, depth: int) -> str | None:
    text = text.strip().strip("\ufeff")
    if text[:1] in ("{", "[", '"'):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if value is not None:
            return error_in(value, rules, depth + 1)
    if len(text) > rules.responses.longest_message:
        return None
    return text if kind_of(text, rules) else None


def _stated(response: dict[str, Any], rules: Rulebook) -> str | None:
    """`{"error": "…"}`, with nothing else to read in it."""
    for key, value in response.items():
        if str(key).lower() in rules.responses.error_keys and _says(value).lower() not in _NOTHING_WRONG:
            rest = {k: v for k, v in response.items() if k != key}
            return _says(value) if _size(rest, rules) <= _LITTLE else None
    return None


def _flagged(response: dict[str, Any], rules: Rulebook) -> str | None:
    """`{"status": "fail", …}`, `{"success": false, …}`, `{"code": 404, …}`, with little else to read in it."""
    if not any(str(k).lower() in rules.responses.state_keys and _failed(v, rules) for k, v in response.items()):
        return None
    if _size(response, rules) > _LITTLE:
        return None
    texts = [
        _says(v) for k, v in response.items() if str(k).lower() in rules.responses.message_keys and _says(v).strip()
    ]
    return " ".join(texts) or json.dumps(response, ensure_ascii=False)


def _failed(value: Any, rules: Rulebook) -> bool:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return 400 <= value <= 599
    if isinstance(value, str):
        if value.lower() in rules.responses.failed or re.fullmatch(r"[45]\d\d", value):
            return True
        return " " in value.strip() and kind_of(value, rules) is not None
    return False


def _only_message(response: dict[str, Any], rules: Rulebook, depth: int) -> str | None:
    """`{"message": "…"}` and the like, where the message is an error's and all else says nothing."""
    known = rules.responses
    content = {
        str(key).lower(): value
        for key, value in response.items()
        if str(key).lower() not in known.state_keys | known.other_keys and not is_empty(value)
    }
    found = []
    for key, value in content.items():
        wrapped = isinstance(value, dict | list)
        if key not in known.message_keys and not (wrapped and key in known.wrapper_keys):
            return None
        found.append(error_in(value, rules, depth + 1) if wrapped else _error_in_text(str(value), rules, depth))
    return " ".join(text for text in found if text) if found and all(found) else None


def _says(value: Any) -> str:
    return value if isinstance(value, str) else "" if is_empty(value) else json.dumps(value, ensure_ascii=False)


def _size(response: dict[str, Any], rules: Rulebook) -> int:
    """Characters of what is neither empty nor a message nor a state."""
    known = rules.responses
    plain = known.message_keys | known.wrapper_keys | known.state_keys | known.other_keys | known.error_keys
    return sum(
        len(_says(value)) for key, value in response.items()
        if not is_empty(value) and (str(key).lower() not in plain or isinstance(value, dict | list))
    )  # fmt: skip
