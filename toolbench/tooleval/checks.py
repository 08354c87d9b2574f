"""What can be said of answers without a judge."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toolbench.dialogue import FINISH, NO_SUCH_FUNCTION
from toolbench.records import Answered
from toolbench.tooleval.answers import Called, calls_of, steps_of
from toolbench.tooleval.asking import functions_of
from toolbench.tooleval.runs import Checks


def checks(rows: Sequence[Answered]) -> Checks:
    """The checks of some queries of a test set; a rate with nothing to count is None.

    Calls are those along the judged path, so that answers from different formats compare; counts of the whole search
    are per answered query.
    """
    answered = [row for row in rows if row.present]
    seen = [_Seen(row) for row in answered]
    calls = sum(len(s.calls) for s in seen)
    known = calls - sum(s.invented for s in seen)
    searched = [row for row in answered if row.replies]  # converted answers do not say
    return Checks(
        finish_rate=_share(sum(r.finish == "answer" and bool(r.final_answer.strip()) for r in answered), len(rows)),
        valid_call_rate=_share(sum(s.fitting for s in seen), calls),
        hallucination_rate=_share(sum(s.invented for s in seen), calls),
        api_error_rate=_share(sum(s.errors for s in seen), known),
        argument_validity=_share(sum(s.fitting for s in seen), known),
        relevant_coverage=_mean([c for s in seen if (c := s.coverage) is not None]),
        steps=_mean([steps_of(row) for row in answered]),
        calls=_mean([row.calls for row in answered]),
        replies=_mean([row.replies for row in searched]),
        tokens=_mean([row.input_tokens + row.output_tokens for row in searched]),
        cost=round(sum(row.cost for row in answered), 9),
    )


class _Seen:
    """The calls of one answer, counted."""

    def __init__(self, row: Answered) -> None:
        self.calls = calls_of(row)
        validators = _validators(row)
        names = set(validators)
        self.invented = sum(_invented(call, names) for call in self.calls)
        mine = [call for call in self.calls if not _invented(call, names)]
        self.errors = sum(call.status != 0 for call in mine)
        self.fitting = sum(_fits(call.arguments, validators.get(call.function)) for call in mine)
        wanted = set(row.relevant) & names if names else set(row.relevant)
        self.coverage = len(wanted & {c.function for c in mine}) / len(wanted) if wanted else None


def _invented(call: Called, names: set[str]) -> bool:
    return call.status == NO_SUCH_FUNCTION or (bool(names) and call.function not in names)


def _validators(row: Answered) -> dict[str, Any]:
    """By function: a validator of its arguments, or None where its schema is none."""
    found = {}
    for function in functions_of(row):
        if function["name"] != FINISH:
            found[function["name"]] = _validator(function.get("parameters"))
    return found


def _validator(shape: Any) -> Any:
    import jsonschema

    if not isinstance(shape, Mapping):
        return None
    try:
        jsonschema.Draft202012Validator.check_schema(shape)
    except (jsonschema.SchemaError, RecursionError):
        return None
    return jsonschema.Draft202012Validator(shape)


def _fits(arguments: str, validator: Any) -> bool:
    """Whether arguments are an object that the schema takes; without a schema an object is enough."""
    try:
        value = json.loads(arguments, strict=False)
        return isinstance(value, dict) and (validator is None or validator.is_valid(value))
    except (ValueError, RecursionError):
        return False
    except Exception:  # a reference that leads nowhere: the schema says nothing then
        return True


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 9) if whole else None


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(sum(found) / len(found), 9) if found else None
