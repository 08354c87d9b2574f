"""What is evaluated: the queries of a test set, each with its answer or without one, however they came."""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from toolbench.dialogue import FINISH, INVENTED, NO_SUCH_FUNCTION
from toolbench.digests import digest
from toolbench.records import Answered, Solution, Step, Turn

Finish = Literal["answer", "gave_up", "none"]

_FAILED = 11
"""ToolBench's code of a response that is an error: for sources that do not say a call's code."""
_GAVE_UP = 4
_MOST_LITERAL = 200_000
"""Characters of a call's message that are read as a literal."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a test set."""

    query_id: str
    split: str
    text: str
    functions: str = "[]"
    """The offered definitions as a JSON list, for queries without an answer."""
    relevant: tuple[str, ...] = ()
    """Names of the functions it was written for."""


@dataclass(frozen=True, slots=True)
class Called:
    """One API call along the judged path; `status` in ToolBench's codes, 0 for a normal answer."""

    function: str
    arguments: str
    response: str
    status: int


def calls_of(row: Answered) -> list[Called]:
    """The API calls along the judged path, `Finish` left out."""
    offered = {f.get("name") for f in json.loads(row.functions) if isinstance(f, dict)}
    return [
        Called(t.function, t.arguments, t.response, _status(t, offered))
        for t in row.turns
        if t.function is not None and t.function != FINISH
    ]


def steps_of(row: Answered) -> int:
    """Steps along the judged path: a thought is one, a call is one."""
    return sum(turn.role in ("assistant", "tool") for turn in row.turns)


def _status(turn: Turn, offered: set[Any]) -> int:
    """The call's own code, or what its response and name tell."""
    if turn.status is not None:
        return turn.status
    if turn.function == INVENTED or (offered and turn.function not in offered):
        return NO_SUCH_FUNCTION
    try:
        value = json.loads(turn.response)
        return _FAILED if isinstance(value, dict) and value.get("error") else 0
    except (ValueError, RecursionError):
        # Observations are cut: what is left of an envelope still begins with its error.
        return _FAILED if re.match(r'\{"error": ?"[^"]', turn.response) else 0


def of_solution(
    solution: Solution, query: Query, functions: Sequence[Mapping[str, Any]], *, origin: str, method: str = ""
) -> Answered:
    """A solution as an answer to `query`; `functions` are the definitions it was offered, `Finish` left out or not."""
    path = [solution.steps[number] for number in solution.path]
    shown = path or _last(solution.steps)
    end = path[-1] if path else None
    raw = (end.arguments or "") if end else ""
    finish: Finish = "none"
    if solution.outcome == "solved":
        finish = "answer"
    elif shown and shown[-1].status == _GAVE_UP:
        # A search may give up on one branch and then run out of budget on another, without having chosen a path.
        finish = "gave_up"
    return Answered(
        id=solution.id,
        query_id=query.query_id,
        split=query.split,
        query=query.text,
        functions=json.dumps(list(functions), ensure_ascii=False),
        relevant=list(query.relevant),
        present=True,
        finish=finish,
        final_answer=solution.final_answer,
        final_arguments=raw,
        turns=[
            Turn(role="system"),
            Turn(role="user", message=query.text),
            *(turn for step in shown for turn in _turns(step)),
        ],
        method=method or solution.method,
        model=solution.model,
        calls=sum(s.function is not None and s.function != FINISH for s in solution.steps),
        replies=solution.calls,
        input_tokens=solution.input_tokens,
        output_tokens=solution.output_tokens,
        cost=solution.cost,
        origin=origin,
    )


def missing(query: Query) -> Answered:
    """The row of a query without an answer."""
    return Answered(
        id=digest(["missing", query.split, query.query_id]), query_id=query.query_id, split=query.split,
        query=query.text, functions=query.functions, relevant=list(query.relevant), present=False, finish="none",
        final_answer="", final_arguments="", turns=[], method="", model="", calls=0, replies=0, input_tokens=0,
        output_tokens=0, cost=0.0, origin="",
    )  # fmt: skip


def matched(queries: Iterable[Query], answers: Iterable[Answered]) -> tuple[list[Answered], list[Answered]]:
    """Every query of the test set, with its answer or as missing, and the answers that belong to none of them.

    An answer belongs to the query of its split and id; where its source names no split of the test set, to the one
    query of that id. It must answer that very text: ids are used twice.
    """
    queries = list(queries)
    by_split = {(q.split, q.query_id): q for q in queries}
    by_id: dict[str, list[Query]] = {}
    for query in queries:
        by_id.setdefault(query.query_id, []).append(query)
    splits = {q.split for q in queries}
    found: dict[tuple[str, str], Answered] = {}
    left: list[Answered] = []
    for row in answers:
        if row.split in splits:
            candidates = [q for q in [by_split.get((row.split, row.query_id))] if q]
        else:
            candidates = by_id.get(row.query_id, [])
        fitting = [q for q in candidates if _same(q.text, row.query)]
        if len(fitting) != 1 or (fitting[0].split, fitting[0].query_id) in found:
            left.append(row)
            continue
        query = fitting[0]
        relevant = list(query.relevant) or row.relevant
        found[query.split, query.query_id] = replace(row, split=query.split, relevant=relevant)
    return [found.get((q.split, q.query_id)) or missing(q) for q in queries], left


def final_of(arguments: str) -> tuple[Finish, str]:
    """How raw `Finish` arguments end a search, and the answer's text. What is no JSON is an answer in plain text."""
    try:
        value = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        if '"give_up_and_restart"' in arguments:
            return "gave_up", ""
        _, marker, rest = arguments.partition('"final_answer": "')
        return "answer", rest.rstrip().removesuffix("}").rstrip().removesuffix('"') if marker else arguments
    if not isinstance(value, dict):
        return "answer", arguments
    if value.get("return_type") == "give_up_and_restart":
        return "gave_up", ""
    answer = value.get("final_answer", "")
    return "answer", answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def call_message(function: str, arguments: str, response: str) -> str:
    """A call as ToolEval's converted answers write it: a Python literal."""
    return str({"name": function, "arguments": arguments, "response": response})


def call_turn(message: str) -> Turn:
    """The turn of a call from its message; one that cannot be read keeps its text, as the call of an invented name."""
    try:
        value = ast.literal_eval(message) if len(message) <= _MOST_LITERAL else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return Turn(role="tool", message=message, function=INVENTED, status=NO_SUCH_FUNCTION)
    name, arguments, response = value["name"], _text(value.get("arguments")), _text(value.get("response"))
    usual = call_message(name, arguments, response) == message
    return Turn(role="tool", message="" if usual else message, function=name, arguments=arguments, response=response)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _turns(step: Step) -> Iterator[Turn]:
    if step.thought is not None:
        yield Turn(role="assistant", message=step.thought)
    if step.function is not None:
        response = "" if step.function == FINISH else step.observation or ""
        yield Turn(
            role="tool", function=step.function, arguments=step.arguments or "", response=response, status=step.status
        )


def _last(steps: Sequence[Step]) -> list[Step]:
    """The last line that was tried, for a search that chose none."""
    line, at = [], steps[-1]
    while at.parent >= 0:
        line.append(at)
        at = steps[at.parent]
    return line[::-1]


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()) == " ".join(other.split())
