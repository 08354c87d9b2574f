"""Required parameters: an instruction must give each a value, or leave it to the one who calls.

A rule that errs on the side of the instruction. It objects where a value of a kind that can be recognised (a number, a
date, an address, a name) is nowhere in the text, and where the text says itself that it gives none ("a specific date").
What cannot be told from the outside (a topic, a text to translate) is left alone.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from toolbench.instructions.values import KINDS, Text, kind_of, stems
from toolbench.instructions.written import Reason, Written
from toolbench.records import Api, Parameter

_ID = re.compile(
    r"(?:^|_)(?:id|ids|key|slug|uuid|guid|hash|token|handle|code|ref|reference)$|.(?:id|ids|uuid|hash)$", re.I
)
_CODED_NAME = re.compile(r"type|class|kind|grp|group|category|sex|gender|level|status", re.IGNORECASE)
_CODES = re.compile(r"\b\d+\s*[:=]")
_TAKEN_OVER = re.compile(r"\b(?:response|endpoint|returned|retrieved|obtained)\b", re.IGNORECASE)
"""In a description: the value comes from another call."""

_OF_CALLER = re.compile(
    r"^(?:format|output|output_?format|response_?(?:format|type)|page|pages|page_?(?:number|size|no|index)|per_?page|"
    r"limit|offset|skip|start|count|size|sort|sort_?(?:by|order)|order|order_?by|fields?|callback|version|mode|lang|"
    r"language|locale|units?|cursor|rows|max_?results|results|timezone|tz|hl|gl|client_?id|user_?agent)$",
    re.I,
)
"""Names of parameters that the caller settles: form, order and amount of what comes back."""


def missing_value(written: Written, candidates: Mapping[str, Api]) -> Reason | None:
    """Every required parameter of the relevant APIs needs a value in the text.

    Not asked for: credentials, parameters with a documented default or example, those that the caller settles (`page`,
    `format`), and ids that another candidate can deliver.
    """
    text = Text(written.text, titles=[api.tool for api in candidates.values()])
    for name in written.relevant:
        api = candidates.get(name)
        for parameter in api.parameters if api else ():
            if not parameter.required or parameter.secret or parameter.default is not None or api is None:
                continue
            if _of_caller(parameter) or _delivered(parameter, api, candidates.values()):
                continue
            if problem := _problem(parameter, api, text):
                return "missing_value", f"Required parameter {parameter.shown_as!r} of {name} has no value: {problem}."
    return None


def _of_caller(parameter: Parameter) -> bool:
    if parameter.type in ("boolean", "object") or _OF_CALLER.match(parameter.shown_as):
        return True
    # Numbers that stand for words ("0: all, 1: floods") are said in words.
    number = parameter.type in ("number", "integer")
    coded = _CODED_NAME.search(parameter.shown_as) or len(_CODES.findall(parameter.description)) > 1
    return bool(number and coded)


def _problem(parameter: Parameter, api: Api, text: Text) -> str:
    """Why the text holds no value for the parameter; empty if it may hold one."""
    schema = _schema(api.definition).get(parameter.shown_as)
    schema = schema if isinstance(schema, dict) else {}
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        # A choice may be said in other words: without a vague word for it, it counts as made.
        vague = "" if text.names_any(choices) else text.vague(parameter.shown_as)
        return f"the text says only {vague!r}" if vague else ""
    kind = kind_of(parameter, str(schema.get("format") or ""))
    if kind == "id":
        # People seldom know ids: one is missed only where the text speaks of it.
        spoken = "" if text.specific else text.speaks_of(parameter.shown_as)
        return f"the text says only {spoken!r}" if spoken else ""
    if kind and not KINDS[kind](text) and not text.leaves_open(parameter.shown_as):
        return f"there is no {kind} in the text"
    if not kind and not text.specific and (vague := text.vague(parameter.shown_as)):
        return f"the text says only {vague!r}"
    return ""


def _delivered(parameter: Parameter, api: Api, candidates: Iterable[Api]) -> bool:
    """Whether the parameter is an id that an answer of another candidate may hold."""
    name = parameter.shown_as
    if not _ID.search(name) and not _ID.search(parameter.name):
        return False
    if _TAKEN_OVER.search(parameter.description):
        return True
    others = [other for other in candidates if other.function != api.function]
    thing = stems(
        re.sub(r"(?:_?(?:ids?|key|slug|uuid|guid|hash|token|handle|code|ref|reference))$", "", name, flags=re.I)
    )
    for other in others:
        if not thing:
            # A bare `id` is an id of whatever the same tool deals with.
            if other.tool_id == api.tool_id:
                return True
            continue
        named = stems(other.name) | stems(other.function.rpartition("_for_")[0]) | stems(other.description[:200])
        shown = f"{other.response_schema or ''} {other.response_example or ''}".lower()
        if thing <= named or f'"{parameter.name.lower()}"' in shown:
            return True
    return False


@cache
def _schema(definition: str) -> Mapping[str, Any]:
    """The properties of a function's parameters."""
    properties = json.loads(definition).get("parameters", {}).get("properties", {})
    return properties if isinstance(properties, dict) else {}
