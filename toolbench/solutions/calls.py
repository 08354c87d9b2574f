"""What a call of the model means: which function it names, what its arguments are, and what `Finish` decides."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from toolbench.digests import canonical
from toolbench.solutions.mending import mended

BAD_INPUT, ANSWERED, GAVE_UP = 2, 3, 4
TEACHER_FAILED = -1


def resolve(name: str, functions: Mapping[str, str], exact: bool) -> str | None:
    """The offered function that `name` means, or None if it is invented.

    `exact`: its very name or an ending that no other function has; otherwise, as ToolBench does, the first that ends
    with it. `Finish` is never meant by an ending: ToolBench crashes there.
    """
    if not exact:
        return next((function for function in functions if function.endswith(name)), None)
    if name in functions:
        return name
    endings = [function for function in functions if name and function.endswith(name)]
    return endings[0] if len(endings) == 1 else None


def parse_arguments(text: str) -> tuple[dict[str, Any] | str, str]:
    """The arguments as an object, or the text itself where it is no JSON object; and either as canonical JSON.

    Raw line breaks in strings are allowed, as models write them; NaN and Infinity, which no API reads, are not. An
    escaped lone surrogate, which only parsing brings to light, is mended.
    """
    try:
        value = json.loads(text, strict=False, parse_constant=_refuse)
        if isinstance(value, dict):
            found = canonical(value)
            return (value, found) if mended(found) == found else parse_arguments(mended(found))
    except (ValueError, RecursionError):
        pass
    return text, canonical(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a `Finish` call came to: ToolBench's observation and status code, and the answer in plain text."""

    observation: str
    status: int
    answer: str = ""


def finish(arguments: str) -> Finished:
    """Judges the arguments of `Finish`. The observations are ToolBench's, which are not JSON themselves."""
    given = _finish_arguments(arguments)
    if "return_type" not in given:
        return Finished('{error:"must have "return_type""}', BAD_INPUT)
    if given["return_type"] == "give_up_and_restart":
        return Finished('{"response":"chose to give up and restart"}', GAVE_UP)
    if given["return_type"] != "give_answer":
        return Finished('{error:""return_type" is not a valid choice"}', BAD_INPUT)
    if "final_answer" not in given:
        return Finished('{error:"must have "final_answer""}', BAD_INPUT)
    answer = given["final_answer"]
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return Finished('{"response":"successfully giving the final answer."}', ANSWERED, mended(text))


def _finish_arguments(text: str) -> dict[str, Any]:
    """The arguments as an object; of a text that is no JSON, cut off by a token limit say, what can be read of it."""
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return _rescued(text)
    return value if isinstance(value, dict) else {}


def _rescued(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    _, marker, rest = text.partition('"return_type": "')
    if marker:
        choices = ("give_answer", "give_up_and_restart")
        found["return_type"] = next((c for c in choices if f'"return_type": "{c}"' in text), rest.partition('"')[0])
    _, marker, rest = text.partition('"final_answer": "')
    if marker:
        found["final_answer"] = rest.rstrip().removesuffix("}").rstrip().removesuffix('"')
    return found
