"""Times and tokens beside steps: from a journal where there is one that fits, else left out."""

import asyncio
import dataclasses
from typing import Any

import report_lake as small

from toolbench.lake import Journal, Lake
from toolbench.records import Reply, Response
from toolbench.report import solution_data
from toolbench.report.timings import Timings, timings


async def journaled(lake: Lake, spec: str) -> None:
    async with Journal(lake, spec) as journal:
        for n in range(3):

            async def reply(n: int = n) -> Any:
                await asyncio.sleep(0.003)
                return dataclasses.asdict(Reply(content="x", input_tokens=10 * n, output_tokens=n))

            async def response() -> Any:
                return dataclasses.asdict(Response(response={"n": 1}))

            await journal.answer("i0", "chat", ["ask", n], reply)
            await journal.answer("i0", "api", ["call"], response)
        await journal.answer("i1", "chat", ["ask"], reply)
        await journal.compact()


def test_replies_and_calls_stand_in_the_order_in_which_they_were_asked_for(lake: Lake) -> None:
    asyncio.run(journaled(lake, "spec"))
    found = timings(lake, "spec")
    assert [reply[1:] for reply in found["i0"].replies if reply] == [(0, 0), (10, 1), (20, 2)]
    assert [seconds is not None and 0 <= seconds < 60 for seconds in found["i0"].calls] == [True] * 3
    assert len(found["i1"].replies) == 1


def test_what_began_at_once_is_in_no_known_order(lake: Lake) -> None:
    async def answer() -> Any:
        return {}

    async def asked() -> None:
        async with Journal(lake, "spec") as journal:
            for n in range(50):
                await journal.answer("i0", "api", ["call", n], answer)

    asyncio.run(asked())
    found = timings(lake, "spec")["i0"].calls
    assert len(found) == 50
    assert None in found, "fifty answers took more than a millisecond each"


def test_without_a_journal_or_with_a_damaged_one_there_are_none(lake: Lake) -> None:
    assert timings(lake, "none") == timings(lake, "") == {}
    lake.store.write("journals/spec/x.parquet", b"PAR1 no table")
    assert timings(lake, "spec") == {}


def call(step: int, arguments: str = "{}", response: str = '"r"') -> dict[str, Any]:
    return {"step": step, "arguments": arguments, "error": "", "response": response}


def test_a_reply_is_told_at_its_first_step_and_a_call_at_its_own() -> None:
    solution = small.solution(0, small.FORKED, [1, 3, 4])
    times = Timings([(0.1 * n, n, n) for n in range(1, 5)], [0.5, 0.25])
    steps = {s["id"]: s for s in solution_data.tree(solution, [call(1), call(3)], times)["steps"]}
    assert {n: s.get("seconds") for n, s in steps.items()} == {1: 0.5, 2: None, 3: 0.25, 4: None}
    assert {n: s["reply"][1] for n, s in steps.items()} == {1: 1, 2: 2, 3: 3, 4: 4}
    assert steps[3]["failed"]
    assert not any(steps[n]["failed"] for n in (1, 2, 4))
    left, chosen = [1, 2, 1, "left: gave up", False], [2, 2, 2, "on the chosen path", True]
    assert solution_data.tree(solution, [], times)["order"] == [0, left, 0, -1, chosen, 0, 0, -1]


def test_a_journal_that_does_not_fit_tells_nothing() -> None:
    solution = small.solution(0, small.FORKED, [1, 3, 4])
    times = Timings([(0.1, 1, 1)] * 5, [0.5])
    for step in solution_data.tree(solution, [call(1), call(3)], times)["steps"]:
        assert "reply" not in step
        assert "seconds" not in step


def test_what_the_model_saw_in_full_is_not_told_twice() -> None:
    seen = '{"error": "", "response": "r"}'
    steps = [small.step(0, -1), small.step(1, 0, function="f", arguments='{"a": 1}', observation=seen, status=0)]
    solution = small.solution(0, steps, [1])
    (same,) = solution_data.tree(solution, [call(1, '{"a":1}')], None)["steps"]
    assert "response" not in same
    assert "sent" not in same
    (other,) = solution_data.tree(solution, [call(1, '{"a":2}', '["rr"]')], None)["steps"]
    assert other["response"] == '{"error": "", "response": ["rr"]}'
    assert other["sent"] == '{"a":2}'
