"""ToolEval's converted answers, read and written: one JSON object a split, what ToolEval's own programs work on.

    {query id: {"query", "available_tools", "answer": {"method", "total_steps", "final_answer", "answer_details"}}}

`answer_details` nests {"role", "message", "next": [what came then]}; several that came next are read in turn.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from toolbench.dialogue import FINISH, FINISH_DEFINITION
from toolbench.digests import digest
from toolbench.errors import SourceError
from toolbench.records import Answered, Turn
from toolbench.tooleval.answers import call_message, call_turn, final_of


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Answer(_Part):
    method: str = ""
    total_steps: int = 0
    final_answer: str = ""
    answer_details: list[Any]


class _Entry(_Part):
    query: str
    available_tools: list[Any]
    answer: _Answer


def looks_converted(document: Any) -> bool:
    """Whether a JSON document is a file of converted answers."""
    return isinstance(document, dict) and bool(document) and all(
        isinstance(v, dict) and "query" in v and "answer" in v for v in document.values()
    )  # fmt: skip


def read(document: Any, split: str, where: str) -> tuple[list[Answered], list[tuple[str, str]]]:
    """The answers of one file, and what is wrong with the entries that are none, by query id.

    Raises SourceError if the document is no object.
    """
    if not isinstance(document, dict):
        raise SourceError(
            f"{where} holds no object of answers by query id: give a file of ToolEval's converted answers."
        )
    rows, problems = [], []
    for query_id, entry in document.items():
        try:
            rows.append(_row(query_id, _Entry.model_validate(entry), split, where))
        except ValidationError as error:
            first = error.errors()[0]
            problems.append((query_id, f"The field {'.'.join(map(str, first['loc']))}: {first['msg']}."))
        except (RecursionError, ValueError) as error:
            problems.append((query_id, f"It cannot be read: {error}."))
    return rows, problems


def _row(query_id: str, entry: _Entry, split: str, where: str) -> Answered:
    turns = list(_turns(entry.answer.answer_details))
    finish, answer = final_of(entry.answer.final_answer)
    last = next((t for t in reversed(turns) if t.role == "tool"), None)
    if not entry.answer.final_answer:
        # As ToolEval has it: without `Finish` in the last step there is no answer, with it an empty one.
        finish = "none" if last is None or last.function != FINISH else final_of(last.arguments)[0]
    return Answered(
        id=digest([split, query_id, entry.query, entry.answer.final_answer, entry.answer.answer_details]),
        query_id=query_id,
        split=split,
        query=entry.query,
        functions=json.dumps(entry.available_tools, ensure_ascii=False),
        relevant=[],
        present=True,
        finish=finish,
        final_answer=answer,
        final_arguments=entry.answer.final_answer,
        turns=turns,
        method=entry.answer.method,
        model="imported",
        calls=sum(t.function is not None and t.function != FINISH for t in turns),
        replies=0,
        input_tokens=0,
        output_tokens=0,
        cost=0.0,
        origin=where,
    )


def _turns(details: list[Any]) -> Iterator[Turn]:
    """What happened, depth first. Raises ValueError for what is no turn."""
    stack = list(reversed(details))
    while stack:
        node = stack.pop()
        if not isinstance(node, dict) or node.get("role") not in ("system", "user", "assistant", "tool"):
            raise ValueError("answer_details holds what is no turn")
        message = node.get("message")
        text = message if isinstance(message, str) else str(message) if isinstance(message, dict) else ""
        yield call_turn(text) if node["role"] == "tool" else Turn(role=node["role"], message=text)
        following = node.get("next", [])
        stack += reversed(following if isinstance(following, list) else [following])


def write(rows: Iterable[Answered]) -> dict[str, dict[str, Any]]:
    """The entries of one split; queries without an answer have none, as in ToolEval's own files."""
    return {row.query_id: entry(row) for row in rows if row.present}


def entry(row: Answered) -> dict[str, Any]:
    """The entry of one answer."""
    details: list[dict[str, Any]] = []
    for turn in reversed(row.turns):
        details = [{"role": turn.role, "message": message_of(turn), "next": details}]
    functions = json.loads(row.functions)
    if not any(isinstance(f, dict) and f.get("name") == FINISH for f in functions):
        functions.append(FINISH_DEFINITION)
    return {
        "query": row.query,
        "available_tools": functions,
        "answer": {
            "method": row.method,
            "total_steps": len(row.turns),
            "final_answer": row.final_arguments,
            "answer_details": details,
        },
    }


def message_of(turn: Turn) -> str:
    """A turn's message in these files."""
    if turn.role != "tool" or turn.message or turn.function is None:
        return turn.message
    return call_message(turn.function, turn.arguments, turn.response)
