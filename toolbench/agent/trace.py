"""What happened on the way to an answer, as JSON values: the field `toolbench` of the agent's replies."""

import dataclasses
from typing import Any

from toolbench.agent.ask import Asked, Event
from toolbench.agent.retrieve import Retrieved
from toolbench.dialogue import FINISH
from toolbench.records import Step
from toolbench.solutions.calls import GAVE_UP

_SHOWN = 300
"""Characters of an observation that are told in words."""


def proposed(found: Retrieved) -> dict[str, Any]:
    """An API that the retriever proposes."""
    api = found.api
    return {
        "id": api.id,
        "tool": api.tool,
        "name": api.name,
        "function": api.function,
        "category": api.category,
        "description": api.description,
        "method": api.method,
        "score": round(found.score, 6),
    }


def event(happened: Event) -> dict[str, Any]:
    """One event of a stream."""
    if isinstance(happened, Step):
        return {"event": "step", "step": dataclasses.asdict(happened)}
    return {"event": "retrieved", "api": proposed(happened)}


def ending(asked: Asked) -> dict[str, Any]:
    """What is known only at the end."""
    return {
        "event": "done",
        "outcome": asked.outcome,
        "reason": asked.reason,
        "path": asked.path,
        "pruned": [step.id for step in asked.steps if step.pruned],
        "replies": asked.replies,
        "cost": asked.cost,
    }


def whole(asked: Asked) -> dict[str, Any]:
    """Everything at once."""
    told = {name: value for name, value in ending(asked).items() if name not in ("event", "pruned")}
    return {
        **told,
        "retrieved": [proposed(found) for found in asked.retrieved],
        "steps": [dataclasses.asdict(step) for step in asked.steps[1:]],
    }


def words(step: Step, shown: int = _SHOWN) -> str:
    """A step for reading as it happens: thought and call, or what came back; empty if there is nothing to say.

    A call comes before it is made and again with its observation; a thought alone, or a failure, comes once.
    """
    if step.observation is None:
        called = step.function is not None and step.function != FINISH
        call = f"→ {step.function} {step.arguments}" if called else ""
        return "\n".join(text for text in (step.thought, call) if text)
    if step.function != FINISH:
        text = step.observation
        return f"← {step.source} {step.status}: {text if len(text) <= shown else text[:shown] + '…'}"
    return "gave up here" if step.status == GAVE_UP else ""


def reply(asked: Asked) -> str:
    """The text for the user: the answer, or that there is none."""
    if asked.outcome == "solved":
        return asked.answer
    return f"No answer was found ({asked.reason})."


def reasoning(asked: Asked) -> str:
    """All steps for reading, in the order they were taken."""
    lines = []
    for step in asked.steps[1:]:
        lines += [words(dataclasses.replace(step, observation=None))]
        lines += [words(step)] if step.observation is not None else []
    return "\n".join(line for line in lines if line)
