"""The questions to a judge, how its votes are read, and the fingerprint that pins it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolbench import prompts
from toolbench.dialogue import FINISH, json_in
from toolbench.records import Answered, Reply
from toolbench.settings import Settings
from toolbench.tooleval.answers import Called, calls_of
from toolbench.tooleval.runs import JudgePin
from toolbench.world import World

SCHEMA_VERSION = 1
"""Of the reply schemas, of what a judge is shown, and of the rules around it: part of every fingerprint."""

RULE = "rule"
"""Stands for the judge's model where none was asked."""

ROOM = "toolbench.tooleval"
_SYSTEM = "judge_system"
_MOST_CALLS = 30
_MOST_CHARACTERS = 600
"""Of the arguments, and of the response, of one call that a judge is shown."""
_MOST_DESCRIPTION = 300


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt file, and the choices its reply has to make one of."""

    prompt: str
    field: str
    choices: tuple[str, ...]

    @property
    def schema(self) -> tuple[str, dict[str, Any]]:
        """Name and JSON Schema of the reply: the reason comes first, so that it is thought before it is decided."""
        properties = {"reason": {"type": "string"}, self.field: {"type": "string", "enum": list(self.choices)}}
        return self.field, {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }


ANSWER = Question("judge", "verdict", ("solved", "unsure", "unsolved"))
TASK = Question("task", "task_status", ("solvable", "unsure", "unsolvable"))
PREFER = Question("prefer", "better", ("first", "second", "tie"))


def pin(settings: Settings, *questions: Question) -> JudgePin:
    """The judge that settings ask for, for these questions."""
    names = sorted({_SYSTEM, *(q.prompt for q in questions)})
    judge = settings.as_judge()
    return JudgePin(
        model=judge.teacher.model,
        prompts={name: prompts.load(ROOM, name).digest for name in names},
        votes=settings.judge.votes,
        temperature=settings.judge.temperature,
        schema_version=SCHEMA_VERSION,
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one question: a choice with its reason, or the problem with it."""

    choice: str
    reason: str
    reply: Reply
    seed: int
    problem: str = ""


async def ask(world: World, question: Question, record: str, case: Mapping[str, Any], seed: int, heat: float) -> Said:
    """One vote. Raises TeacherError, TransientError, BudgetError, LakeError; an unreadable reply is a `problem`."""
    text = json.dumps(case, ensure_ascii=False)
    messages = [
        {"role": "system", "content": prompts.load(ROOM, _SYSTEM).render()},
        {"role": "user", "content": prompts.load(ROOM, question.prompt).render(case=text)},
    ]
    reply = await world.chat(record, messages, seed=seed, schema=question.schema, temperature=heat)
    try:
        found = json_in(reply.content)
        choice, reason = found[question.field], str(found.get("reason", ""))
        if choice in question.choices:
            return Said(choice, reason, reply, seed)
        problem = f"the {question.field} {choice!r} is none of {', '.join(question.choices)}"
    except (ValueError, TypeError, KeyError, AttributeError):
        problem = reply.error or "the reply is not the JSON that was asked for"
    return Said("", "", reply, seed, problem)


def answer_case(instruction: str, answer: str, calls: Sequence[Called]) -> dict[str, Any]:
    """What a judge is shown of an answer."""
    return {"instruction": instruction, **attempt(answer, calls)}


def attempt(answer: str, calls: Sequence[Called]) -> dict[str, Any]:
    """An answer with the last calls before it."""
    shown = [
        {"function": c.function, "arguments": _cut(c.arguments), "status": c.status, "response": _cut(c.response)}
        for c in calls[-_MOST_CALLS:]
    ]
    return {"answer": answer, "calls": shown}


def task_case(row: Answered) -> dict[str, Any]:
    """What a judge is shown of a task: the instruction and the functions, no answer."""
    shown = [_function(function) for function in functions_of(row) if function["name"] != FINISH]
    return {"instruction": row.query, "functions": shown}


def functions_of(row: Answered) -> list[dict[str, Any]]:
    """The offered function definitions that have a name."""
    return [f for f in json.loads(row.functions) if isinstance(f, dict) and isinstance(f.get("name"), str)]


def answer_case_of(row: Answered) -> dict[str, Any]:
    """What a judge is shown of a row."""
    return answer_case(row.query, row.final_answer, calls_of(row))


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    shape = function.get("parameters")
    shape = shape if isinstance(shape, dict) else {}
    parameters = shape.get("properties")
    return {
        "name": function["name"],
        "description": str(function.get("description") or "")[:_MOST_DESCRIPTION],
        "parameters": {k: _described(v) for k, v in parameters.items()} if isinstance(parameters, dict) else {},
        "required": shape.get("required", []),
    }


def _described(value: Any) -> str:
    return str(value.get("description") or value.get("type") or "")[:100] if isinstance(value, dict) else ""


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
