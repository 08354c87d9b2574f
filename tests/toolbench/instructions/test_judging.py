"""The teacher as judge of missing values; its replies are scripted, everything else is real."""

import asyncio
import dataclasses
import json
from typing import Any

import pytest
from workshop import an_api

from toolbench.instructions.judging import missing_value
from toolbench.records import Parameter, Reply

RISE = an_api("Sun", "rise")
FREE = dataclasses.replace(an_api("Sun", "now"), parameters=[Parameter(name="key", shown_as="key", type="string",
                                                                      required=True, secret=True)])  # fmt: skip


class Asked:
    """A world whose teacher says one thing."""

    def __init__(self, says: str | None, error: str = "") -> None:
        self.says, self.error, self.messages = says, error, []  # type: ignore[var-annotated]

    async def chat(self, record: str, messages: Any, **how: Any) -> Reply:
        assert how["temperature"] == 0
        self.messages.append(messages)
        return Reply(content=self.says, error=self.error)


def judged(world: Asked, *apis: Any) -> Any:
    return asyncio.run(missing_value(world, "c1#values", "When does the sun rise?", apis, 7))  # type: ignore[arg-type]


def test_a_parameter_that_it_names_is_the_reason() -> None:
    world = Asked(json.dumps({"missing": [{"api": RISE.function, "parameter": "city"}]}))
    assert judged(world, RISE) == (
        "missing_value",
        f"In the teacher's judgment the text holds no value for city of {RISE.function}.",
    )
    (message,) = world.messages[0]
    assert "When does the sun rise?" in message["content"]
    assert '"name": "city"' in message["content"]


@pytest.mark.parametrize(
    "says",
    [
        '{"missing": []}',
        '{"missing": [{"api": "other", "parameter": "city"}]}',
        f'{{"missing": [{{"api": "{RISE.function}", "parameter": "moon"}}]}}',
        '{"missing": "city"}',
        '{"missing": [3, null, {"api": ["x"]}]}',
        "no JSON",
        None,
    ],
)
def test_what_says_nothing_rejects_nothing(says: str | None) -> None:
    assert judged(Asked(says), RISE) is None


def test_a_teacher_that_fails_rejects_nothing() -> None:
    assert judged(Asked(None, error="refused"), RISE) is None


def test_nobody_is_asked_about_apis_that_require_nothing() -> None:
    world = Asked('{"missing": []}')
    assert judged(world, FREE) is None
    assert world.messages == []
