"""A teacher and APIs that follow a script, for tests of the search."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

from toolbench.dialogue import Message
from toolbench.records import FunctionCall, Reply, Response
from toolbench.solutions import Rules, SearchResult, Task, search

FUNCTIONS = ("rain_for_weather", "sun_for_weather", "rate_for_money")


def task(**changes: Any) -> Task:
    """An instruction with three functions."""
    definitions = [{"name": name, "description": name, "parameters": {"type": "object"}} for name in FUNCTIONS]
    functions = {name: f"api/{name}" for name in FUNCTIONS}
    fields = {"instruction": "Will it rain?", "definitions": definitions, "functions": functions} | changes
    return Task(**fields)


def says(thought: str | None, *calls: tuple[str, Any]) -> Reply:
    """A reply with a thought and calls; arguments that are no text are written as JSON."""
    made = [
        FunctionCall(id="same", name=name, arguments=given if isinstance(given, str) else json.dumps(given))
        for name, given in calls
    ]
    return Reply(content=thought, calls=made, input_tokens=10, output_tokens=2, cost=0.5)


ANSWER = ("Finish", {"return_type": "give_answer", "final_answer": "It will rain."})
GIVE_UP = ("Finish", {"return_type": "give_up_and_restart"})


class World:
    """Answers requests from a script (its last reply again when it is used up) and notes everything."""

    def __init__(self, replies: Iterable[Reply], respond: Callable[[int], Response] | None = None) -> None:
        self.replies = list(replies)
        self.respond = respond or (lambda number: Response(response=f"r{number}", source="live"))
        self.requests: list[list[Message]] = []
        self.tools: list[list[dict[str, Any]] | None] = []
        self.called: list[tuple[str, Any]] = []

    async def ask(self, messages: list[Message], tools: list[dict[str, Any]] | None, turn: int) -> Reply:
        self.requests.append(messages)
        self.tools.append(tools)
        assert turn == len(self.requests)
        return self.replies[min(turn, len(self.replies)) - 1]

    async def call(self, function: str, arguments: dict[str, Any] | str) -> Response:
        self.called.append((function, arguments))
        return self.respond(len(self.called))

    def search(self, rules: Rules, **changes: Any) -> SearchResult:
        return asyncio.run(search(task(**changes), self.ask, self.call, rules))
