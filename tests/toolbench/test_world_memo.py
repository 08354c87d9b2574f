"""Equal API calls of a shard are made once, and no row depends on who came first."""

import asyncio
import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from workshop import an_api, journaled, settings_for

from toolbench.apis import Chain
from toolbench.lake import Lake, Spec
from toolbench.records import Api, Response
from toolbench.world import World

SPEC = Spec(stage="test", label="", partition={}, records=[], content="", params={})
SKY = an_api("Sky", "Forecast")
OSLO = '{"city":"Oslo"}'


class Outside(Chain):
    """Answers with the number of the call, after a moment; the statuses of its answers are given."""

    def __init__(self, *statuses: int, **fields: Any) -> None:
        super().__init__([])
        self.statuses, self.fields = list(statuses), fields
        self.calls: list[tuple[str, str]] = []
        self.fails = False

    async def call(self, api: Api, arguments: str) -> Response:
        self.calls.append((api.id, arguments))
        number, status = len(self.calls), self.statuses.pop(0) if self.statuses else 0
        await asyncio.sleep(0.01)
        if self.fails:
            self.fails = False
            raise ConnectionError("gone")
        return Response(response=number, status=status, source="live", **self.fields)


class OpenWorld(World):
    def __init__(self, lake: Lake, outside: Chain, **spec: Any) -> None:
        super().__init__(lake, SPEC.model_copy(update=spec), settings_for(lake, "http://127.0.0.1:9"), apis=True)
        self._chain = outside


def called(lake: Lake, outside: Outside, records: Sequence[str], api: Api = SKY, text: str = OSLO) -> list[Any]:
    """What each record is answered to the same call, all at once; and the world."""

    async def main() -> list[Any]:
        async with OpenWorld(lake, outside) as world:
            found = await asyncio.gather(*(world.call(r, api, text) for r in records), return_exceptions=True)
            return [*found, world]

    return asyncio.run(main())


def test_whoever_asks_first_there_is_one_call_and_one_answer(tmp_path: Any) -> None:
    for number, order in enumerate(itertools.permutations("abc")):
        lake, outside = Lake(str(tmp_path / str(number))), Outside()
        *answers, world = called(lake, outside, [*order, order[0]])
        assert answers == [Response(response=1, source="live")] * 4
        assert (len(outside.calls), world.journal.asked, world.journal.shared) == (1, 1, 3)
        rows = journaled(lake, SPEC, "api")
        assert sorted((r["record"], r["occurrence"]) for r in rows) == sorted([*((r, 0) for r in "abc"), (order[0], 1)])
        silent = Outside()
        *again, world = called(lake, silent, ["c", "a", "b", order[0]])
        assert again == answers
        assert (silent.calls, world.journal.replayed) == ([], 4)


def test_what_is_not_the_same_call_is_asked_anew(lake: Lake) -> None:
    outside = Outside()
    for api, text in ((SKY, OSLO), (SKY, '{"city":"Bergen"}'), (dataclasses.replace(SKY, digest="new"), OSLO)):
        called(lake, outside, "ab", api, text)
    assert len(outside.calls) == 3


@pytest.mark.parametrize(("method", "calls"), [("GET", 1), ("head", 1), ("OPTIONS", 1), ("POST", 2), ("DELETE", 2)])
def test_only_methods_that_change_nothing_are_shared(lake: Lake, method: str, calls: int) -> None:
    outside = Outside()
    called(lake, outside, "ab", dataclasses.replace(SKY, method=method))
    assert len(outside.calls) == calls


@pytest.mark.parametrize("status", [5, 6, 9, 10, 12])
def test_a_failure_of_the_moment_is_its_own_callers_alone(lake: Lake, status: int) -> None:
    outside = Outside(status)
    *answers, _ = called(lake, outside, "abc")
    assert [a.status for a in answers] == [status, 0, 0]
    assert len(outside.calls) == 3, "those who waited do not wait for one another again"
    *more, _ = called(lake, outside, "ade")
    assert [a.status for a in more] == [status, 0, 0]
    assert len(outside.calls) == 3, "an earlier try of the shard knows the answer"


@pytest.mark.parametrize("status", [0, 2, 7, 8, 11])
def test_what_would_be_answered_again_is_not_asked_again(lake: Lake, status: int) -> None:
    outside = Outside(status)
    *answers, _ = called(lake, outside, "ab")
    assert [(a.status, a.response) for a in answers] == [(status, 1)] * 2


def test_a_call_that_raises_leaves_the_others_to_ask_themselves(lake: Lake) -> None:
    outside = Outside()
    outside.fails = True
    first, *others, _ = called(lake, outside, "abc")
    assert isinstance(first, ConnectionError)
    assert [a.status for a in others] == [0, 0]


def test_who_is_cancelled_keeps_nobody_waiting(lake: Lake) -> None:
    async def main() -> Response:
        async with OpenWorld(lake, Outside()) as world:
            first = asyncio.create_task(world.call("a", SKY, OSLO))
            second = asyncio.create_task(world.call("b", SKY, OSLO))
            third = asyncio.create_task(world.call("c", SKY, OSLO))
            await asyncio.sleep(0)
            first.cancel()
            second.cancel()
            return await asyncio.wait_for(third, 5)

    assert asyncio.run(main()).status == 0


def test_what_a_teacher_made_up_is_paid_for_once(lake: Lake) -> None:
    outside = Outside(input_tokens=10, output_tokens=5, cost=0.25)
    *answers, world = called(lake, outside, "abc")
    assert sorted(a.cost for a in answers) == [0.0, 0.0, 0.25]
    paid = world.usage
    assert (paid.calls, paid.input_tokens, paid.output_tokens, paid.cost) == (1, 10, 5, 0.25)
    *_, again = called(lake, Outside(), "cba")
    assert again.usage == paid


def test_last_nights_answer_is_for_the_record_that_had_it(lake: Lake) -> None:
    """A record that is new tonight asks tonight."""
    called(lake, Outside(), "a")

    async def main() -> None:
        outside = Outside()
        async with OpenWorld(lake, outside, content="tonight", earlier=[SPEC.digest]) as world:
            await world.call("a", SKY, OSLO)
            assert not outside.calls
            await world.call("b", SKY, OSLO)
            await world.call("c", SKY, OSLO)
            assert len(outside.calls) == 1

    asyncio.run(main())
