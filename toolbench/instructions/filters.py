"""Filters of instructions: each returns why an instruction is rejected, or None."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolbench.records import Api

Reason = tuple[str, str]
"""A short code to count by, and one sentence."""


@dataclass(frozen=True, slots=True)
class Written:
    """An instruction as the teacher wrote it: its text and the function names it calls relevant."""

    text: str
    relevant: Sequence[str]


def relevant_apis(written: Written, candidates: Mapping[str, Api]) -> Reason | None:
    """The relevant APIs must be some of the candidates (by function name)."""
    if not written.relevant:
        return "no_relevant_api", "No relevant API is named."
    unknown = [name for name in written.relevant if name not in candidates]
    if unknown:
        return "hallucinated_api", f"Relevant API {unknown[0]!r} is none of the candidates."
    return None


def several_tools(written: Written, candidates: Mapping[str, Api], group: str) -> Reason | None:
    """A multi-tool instruction must need more than one tool."""
    tools = {candidates[name].tool_id for name in written.relevant}
    if group != "I1" and len(tools) < 2:
        return "single_tool", f"A {group} instruction needs several tools, this one needs only {next(iter(tools))}."
    return None


_ASKS_FOR_API = re.compile(
    r"\b(use|using|call|calling|via|through)\s+(the\s+)?[\w\s\-']{0,40}?\b(api|endpoint)s?\b", re.I
)
_IDENTIFIER = re.compile(r"[A-Za-z0-9]_|[a-z0-9]/|[a-z][A-Z]")


def names_an_api(written: Written, candidates: Mapping[str, Api]) -> Reason | None:
    """No identifier of an API, and no request to use one, may leak into the text."""
    lowered = written.text.lower()
    for name, api in candidates.items():
        for identifier in (name, api.name):
            # A plain word or a title is something a person would say; an identifier is not.
            is_identifier = _IDENTIFIER.search(identifier) is not None and " " not in identifier
            if is_identifier and len(identifier) > 4 and identifier.lower() in lowered:
                return "api_named", f"The text names the API {identifier!r}."
    if found := _ASKS_FOR_API.search(written.text):
        return "api_named", f"The text asks for an API: {found[0]!r}."
    return None


def length(written: Written, shortest: int, longest: int) -> Reason | None:
    """The text's length in words must lie within the limits."""
    words = len(written.text.split())
    if words < shortest:
        return "too_short", f"{words} words are fewer than {shortest}."
    if words > longest:
        return "too_long", f"{words} words are more than {longest}."
    return None


def normalised(text: str) -> str:
    """The text without case, punctuation and spacing: equal for exact duplicates that look different."""
    return " ".join(re.findall(r"\w+", text.lower()))
