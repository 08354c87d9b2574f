"""Answers and votes as the tests of this room need them."""

import json
from typing import Any

from toolbench.records import Answered, Turn, Vote

WEATHER = {
    "name": "weather_for_sky",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TIDE = {"name": "tide_for_sea", "description": "The tide of a port", "parameters": {"type": "object", "properties": {}}}


def a_call(function: str = "weather_for_sky", arguments: str = '{"city": "Oslo"}', status: int | None = 0) -> Turn:
    """A call that came back with something."""
    response = '{"error": "", "response": "rain"}' if not status else '{"error": "no", "response": ""}'
    return Turn(role="tool", function=function, arguments=arguments, response=response, status=status)


def an_answer(query_id: str = "1", split: str = "G1_tool", **fields: Any) -> Answered:
    """An answer with one good call, by default."""
    known: dict[str, Any] = {
        "id": f"a-{split}-{query_id}", "query_id": query_id, "split": split, "query": f"Weather of city {query_id}?",
        "functions": json.dumps([WEATHER, TIDE]), "relevant": [], "present": True, "finish": "answer",
        "final_answer": "It rains.", "final_arguments": '{"return_type": "give_answer", "final_answer": "It rains."}',
        "turns": [a_call()], "method": "dfsdt", "model": "m", "calls": 1, "replies": 2, "input_tokens": 10,
        "output_tokens": 5, "cost": 0.25, "origin": "test",
    }  # fmt: skip
    return Answered(**{**known, **fields})


def a_vote(row: Answered, number: int, verdict: str, question: str = "answer", order: str = "") -> Vote:
    """A judge's word on an answer."""
    return Vote(
        id=f"{row.id}-{question}-{number}-{order}", answered_id=row.id, query_id=row.query_id, split=row.split,
        question=question, vote=number, order=order, verdict=verdict, reason="r", model="judge", prompt_digest="p",
        fingerprint="f", seed=number, input_tokens=1, output_tokens=1, cost=0.0,
    )  # type: ignore[arg-type]  # fmt: skip
