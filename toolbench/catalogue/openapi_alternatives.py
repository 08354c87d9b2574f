"""One schema for the alternatives of `anyOf` and `oneOf`: a function's argument has one type.

The type is always that of one alternative. Limits that only some alternatives have are left out, so that scalars that
are joined may allow more than the document does, and never less. Discriminators are not needed for that.
"""

from typing import Any

from toolbench.catalogue.openapi_keywords import SCALARS, choices_of, type_of

_SAID_ONCE = ("description", "default", "example", "examples")


def one_of(alternatives: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema that stands for merged `alternatives`, none of which is null.

    - Scalars of one type: that type, with the choices of all if all are enums, else with what all of them say.
    - Scalars of several types: a free string if one of them is that, since text can say the others too.
    - Everything else (objects, a list or one item): the first, whole. A mixture of shapes would be none of them.
    """
    if not alternatives:
        return {}
    first = alternatives[0]
    kinds = {type_of(a) for a in alternatives}
    if len(alternatives) == 1 or not kinds <= SCALARS:
        return first
    if len(kinds) == 1 or kinds == {"integer", "number"}:
        return _joined(alternatives, "number" if "number" in kinds else kinds.pop())
    return next((a for a in alternatives if type_of(a) == "string" and not choices_of(a)), first)


def _joined(alternatives: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    first, *others = alternatives
    shared = {k: v for k, v in first.items() if k in _SAID_ONCE or all(k in a and a[k] == v for a in others)}
    shared.pop("const", None)
    shared.pop("enum", None)
    choices = [choices_of(a) for a in alternatives]
    if all(choices):
        shared["enum"] = [c for listed in choices for c in listed]
    return shared | {"type": kind}
