"""Leaks: a person says what they want, not which API shall be called. Brands that a person would name are fine."""

import re
from collections.abc import Mapping

from toolbench.instructions.written import Reason, Written
from toolbench.records import Api

_SHORTEST = 5
"""Characters; a shorter identifier is found in too many words."""

_VERB = re.compile(
    r"add|ask|build|call|check|convert|count|create|delete|detect|download|extract|fetch|find|generate|get|"
    r"list|load|lookup|make|modify|parse|post|put|query|read|remove|retrieve|run|search|send|set|translate|"
    r"update|upload|validate",
    re.IGNORECASE,
)

_CALLED = re.compile(
    r"""\b(?:us(?:e|es|ed|ing)|call(?:s|ed|ing)?|invok(?:e|es|ed|ing)|quer(?:y|ying)|hit(?:ting)?|via|through)
    \s+(?:(?:the|this|your|their|an?|its)\s+)?
    (?:(?!(?:and|or|but|to|that|which|who|so|because|for|from|in|on|at|if|when|where|then|i|you|we|is|are)\b)
       [\w'"’‘“”&/.+:\-\[\]()]+\s+){0,7}
    ['"’]?(?:APIs?|endpoints?)\b
    (?!\s+(?:keys?|tokens?|documentation|docs|calls?\s+limit)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_JOINED = re.compile(r"\w_\w|^/\w|/.*/|[{}]")
_CAMEL = re.compile(r"[a-z]+[a-z0-9]*[A-Z]\w*")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")
_KIND = r"['\"’”]?\s+(?:APIs?|endpoints?|functions?|tools?)\b"


def names_an_api(written: Written, candidates: Mapping[str, Api]) -> Reason | None:
    """No identifier of a candidate, and no request to call an API, may leak into the text.

    Caught: a function's name; an API's name that only a programmer would write (`get_tide`, `getTide`, `/tide/{id}`);
    an API's name of several words, unless its tool has that title, with API, endpoint, function or tool behind it ("the
    Get Tags tool"); "use the … API" or "endpoint". Not caught: a tool's title ("Spotify", "the ColorMe tool"), and
    somebody who looks for an API.
    """
    for name, api in candidates.items():
        for identifier in (name, api.name.strip()):
            if _is_identifier(identifier) and _stands(identifier, written.text):
                return "api_named", f"The text names the API {identifier!r}."
        several = len(api.name.split()) > 1 and api.name.strip().lower() not in api.tool.lower()
        if several and (found := _stands(api.name.strip(), written.text, _KIND)):
            return "api_named", f"The text names the API {found!r}."
    if found_call := _CALLED.search(written.text):
        return "api_named", f"The text asks for an API: {found_call[0]!r}."
    return None


def _stands(words: str, text: str, behind: str = "") -> str:
    """How `words` stand in the text, as whole words and whatever their case; empty if they do not."""
    if words.lower() not in text.lower():
        return ""
    found = re.search(rf"(?<!\w){re.escape(words)}(?!\w){behind}", text, re.IGNORECASE)
    return found[0] if found else ""


def _is_identifier(name: str) -> bool:
    """Whether nobody but a programmer would write this name; `CoinDesk` is a brand, `GetOrderInfo` is none."""
    if len(name) < _SHORTEST or " " in name:
        return False
    if _JOINED.search(name) or _CAMEL.fullmatch(name):
        return True
    humps = _HUMP.findall(name) if name.isalnum() and name[:1].isupper() else []
    return len(humps) > 1 and (len(humps) > 2 or _VERB.fullmatch(humps[0]) is not None)
