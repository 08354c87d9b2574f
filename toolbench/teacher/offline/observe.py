"""Reading observations: the envelope a call came back with, cut or whole, as values by path, and whether it failed."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Scalar = str | int | float | bool
Leaf = tuple[tuple[str, ...], Scalar]

_BAD = re.compile(
    r"not found|does ?n[o']t exist|no such|not available|unavailable|unauthori[sz]ed|forbidden|too many requests|"
    r"rate limit|timed? ?out|timeout|invalid|internal server error|bad request|missing|failed|subscribe|api key|"
    r"access denied|something went wrong|<html|<!doctype|^error",
    re.IGNORECASE,
)
_ARGUMENT = re.compile(
    r"invalid|missing|required|must be|should be|parameter|argument|expected|not a valid|unprocessable|validation|"
    r"\b422\b|\b400\b|bad request|unknown|out of range|input",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"too many requests|rate limit|timed? ?out|timeout|unavailable|internal server error|bad gateway|overloaded|"
    r"try again|\bHTTP (?:429|500|502|503|504)\b",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"\"([^\"\\]{1,80})\"\s*:\s*(\"(?:[^\"\\]|\\.)*\"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=\s*[,}\]])|true|false)"
)
_MOST = 400
"""Leaves read of one observation; a megabyte of JSON holds nothing more for an answer."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one call told: `leaves` are (path, value) in the order written; `error` is empty for a success."""

    error: str
    leaves: tuple[Leaf, ...]
    text: str
    """The response where it is plain text."""

    @property
    def ok(self) -> bool:
        return not self.error

    @property
    def blames_arguments(self) -> bool:
        """Whether the error says that the arguments were bad, so that others may do."""
        return bool(self.error and _ARGUMENT.search(self.error))

    @property
    def may_pass(self) -> bool:
        """Whether the error says that the server was at fault for the moment, so that the same call may work later."""
        return bool(self.error and _PASSING.search(self.error))


@lru_cache(maxsize=4096)
def observation(content: str) -> Observation:
    """Reads `{"error": …, "response": …}`, also when it was cut; anything else counts as the response itself."""
    content = content.strip()
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        return _cut(content)
    if not (isinstance(whole, dict) and "error" in whole and "response" in whole):
        whole = {"error": "", "response": whole}
    error, response = whole["error"], _unpacked(whole["response"])
    if error:
        return Observation(error if isinstance(error, str) else json.dumps(error), (), "")
    leaves = (
        ()
        if isinstance(response, str)
        else tuple(leaf for leaf, _ in zip(_leaves(response, ()), range(_MOST), strict=False))
    )
    text = re.sub(r"\s+", " ", response).strip()[:600] if isinstance(response, str) else ""
    return Observation(_complaint(response, leaves, text), leaves, text)


def _unpacked(response: Any) -> Any:
    """A response that is JSON text, as its value."""
    if isinstance(response, str) and response.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(response)
        except (ValueError, RecursionError):
            return response
    return response


def _complaint(response: Any, leaves: tuple[Leaf, ...], text: str) -> str:
    """Why a response under an empty error is a failure all the same; empty if it is none."""
    if isinstance(response, dict):
        for key in ("error", "errors", "detail", "fault", "message"):
            value = response.get(key)
            if (
                value
                and (key != "message" or len(response) <= 2)
                and (key in ("error", "errors", "fault") or _BAD.search(str(value)))
            ):
                return str(value)[:300]
        if response.get("success") is False or str(response.get("status", "")).lower() in ("error", "fail", "failed"):
            return "the response says that it failed"
    if isinstance(response, str) and text and _BAD.search(text[:200]) and len(text) < 400:
        return text[:200]
    if text.startswith("<"):
        return "the response is a web page"
    return "" if leaves or text else "the response is empty"


def _cut(content: str) -> Observation:
    """An envelope that was cut: its error as far as it goes, else the pairs that are whole."""
    content = content.removesuffix("...")
    error = re.match(r"\s*\{\s*\"error\"\s*:\s*\"((?:[^\"\\]|\\.)+)", content)
    if error:
        return Observation(error.group(1), (), "")
    body = re.sub(r"^\s*\{\s*\"error\"\s*:\s*\"\"\s*,\s*\"response\"\s*:\s*", "", content)
    source = body
    if body.startswith('"'):
        source = re.sub(r"\\+\"", '"', body)
    leaves = tuple(((key,), json.loads(value, strict=False)) for key, value in _PAIR.findall(source)[:_MOST])
    text = "" if leaves else re.sub(r"\s+", " ", body.strip('"')).strip()[:600]
    failed = text.startswith("<") or (len(text) < 400 and _BAD.search(text[:200]))
    return Observation(text[:200] or "the response is empty" if failed or not (leaves or text) else "", leaves, text)


_NOTE = re.compile(r"… \d+ (?:more )?(?:item|key)s?")
"""What stands where a response was shortened."""


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[Leaf]:
    if isinstance(value, str) and _NOTE.fullmatch(value):
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif value is not None and value != "" and path:
        yield path, value
    elif value is not None and value != "":
        yield ("result",), value
