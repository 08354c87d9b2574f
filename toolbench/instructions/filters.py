"""Filters of instructions: each returns why an instruction is rejected, or None.

`check` runs those that look at one instruction alone, in the order in which they stand in it. `duplicates` and
`contamination` compare texts with others and keep state; they have modules of their own.
"""

import re
from collections.abc import Mapping

from toolbench.instructions.language import other_language
from toolbench.instructions.leaks import names_an_api
from toolbench.instructions.required import missing_value
from toolbench.instructions.unsafe import unsafe
from toolbench.instructions.written import Reason, Written
from toolbench.records import Api

__all__ = [
    "Reason", "Written", "check", "length", "missing_value", "names_an_api", "normalised", "other_language",
    "relevant_apis", "several_tools", "unsafe",
]  # fmt: skip


def check(
    written: Written, candidates: Mapping[str, Api], group: str, *, shortest: int, longest: int, language: str = ""
) -> Reason | None:
    """The first reason to reject an instruction, or None. The order is fixed, so that counts by reason compare.

    1. `too_short`, `too_long`: words outside `shortest` to `longest`.
    2. `no_relevant_api`, `hallucinated_api`: relevant APIs that are none of `candidates` (by function name).
    3. `single_tool`: a multi-tool `group` (I2, I3), but the APIs of one tool.
    4. `api_named`: an API's identifier, or a request to call one.
    5. `wrong_language`: surely not `language`, a name or a code; empty: any.
    6. `unsafe`: a request that must not be served.
    7. `missing_value`: a required parameter that the text gives no value for.

    Raises UsageError if `language` is not known.
    """
    return (
        length(written, shortest, longest)
        or relevant_apis(written, candidates)
        or several_tools(written, candidates, group)
        or names_an_api(written, candidates)
        or other_language(written, language)
        or unsafe(written)
        or missing_value(written, candidates)
    )


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
