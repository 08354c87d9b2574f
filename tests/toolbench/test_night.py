"""The budget of a run in the lake: who may take what, in how many processes whatsoever."""

import asyncio
import threading
import time

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from workshop import Server, settings_for

from toolbench import night
from toolbench.errors import BudgetError, LakeError
from toolbench.lake import Lake
from toolbench.night import Night
from toolbench.settings import Settings
from toolbench.teacher import Teacher
from toolbench.teacher.ledger import Amount
from toolbench.teacher.shared import Shared


def begun(lake: Lake, name: str = "run", **budget: float) -> Settings:
    return night.begin(lake, Settings(lake=lake.uri, budget=budget), name)


def test_processes_that_draw_at_once_are_given_all_of_it_and_nothing_twice(lake: Lake) -> None:
    begun(lake, max_calls=200)
    drawn: list[int] = []

    def draw() -> None:
        mine = Night(lake, "run")
        while part := mine.draw(Amount(1)):
            drawn.append(part.calls)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(drawn) == 200
    assert drawn[0] <= 200 // 16, "one process leaves something for the others"


@examples(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40), st.integers(0, 100)), max_size=25))
def test_whatever_is_given_back_the_limit_is_kept(steps: list[tuple[int, int, int]]) -> None:
    lake = Lake(f"memory://night-{time.monotonic_ns()}")
    begun(lake, max_calls=100, max_cost=1.0)
    writers = [Night(lake, "run") for _ in range(3)]
    used, dollars = 0, 0.0
    for who, need, percent in steps:
        if part := writers[who].draw(Amount(need, 0, need / 100)):
            back = part.calls * percent // 100
            writers[who].give_back(Amount(back, 0, part.dollars * percent / 100), Amount())
            used, dollars = used + part.calls - back, dollars + part.dollars * (1 - percent / 100)
        assert used <= 100
        assert dollars <= 1.0 + 1e-9


def test_what_one_gives_back_another_may_take(lake: Lake) -> None:
    begun(lake, max_calls=10)
    one, other = Night(lake, "run"), Night(lake, "run")
    assert one.draw(Amount(10)) == Amount(10)
    assert other.draw(Amount(1)) is None
    one.give_back(Amount(4), Amount(6, 600, 0.5))
    assert other.draw(Amount(7)) == Amount(4)
    other.give_back(Amount(), Amount(4, 40, 0.25))
    assert one.spent() == Amount(10, 640, 0.75)


def test_a_run_that_is_started_again_goes_on_with_what_is_left_of_its_budget_and_its_time(lake: Lake) -> None:
    begun(lake, max_calls=10)
    Night(lake, "run").draw(Amount(7))
    again = begun(lake, max_calls=500)
    assert again.teacher.account == "run"
    assert Night(lake, "run").draw(Amount(10)) == Amount(3)


def test_a_part_of_a_run_has_no_budget_of_its_own(lake: Lake) -> None:
    whole = begun(lake, max_calls=10)
    assert night.begin(lake, whole, "part") is whole


def test_when_the_time_is_up_it_is_said(lake: Lake) -> None:
    in_time, late = begun(lake, "a", max_hours=1), begun(lake, "b", max_hours=1e-9)
    night.check_time(lake, in_time)
    with pytest.raises(BudgetError, match=r"raise budget\.max_hours \(1e-09\), or run again to go on from here"):
        night.check_time(lake, late)
    night.check_time(lake, Settings(lake=lake.uri))  # outside of a run


def test_an_account_that_is_gone_is_said_and_one_that_has_ended_leaves_nothing(lake: Lake) -> None:
    settings = begun(lake)
    night.end(lake, settings)
    assert lake.store.list("nights") == []
    with pytest.raises(LakeError, match="is missing although a run works by it"):
        night.of(lake, settings)


def test_what_a_killed_run_left_is_garbage(lake: Lake) -> None:
    begun(lake, max_calls=3)
    assert [key for key, _ in lake.collect_garbage(keep=1)] == ["nights/run/night.json"]


def test_two_processes_ask_together_as_often_as_the_budget_allows(lake: Lake, honest_teacher: Server) -> None:
    settings = settings_for(lake, honest_teacher.url, budget={"max_calls": 50})
    settings = night.begin(lake, settings, "shared")
    honest_teacher.reset()

    async def process() -> int:
        shared, refused = Shared(), 0
        shared.open("shared", lambda: Night(lake, "shared"))
        async with Teacher(settings.teacher, shared=shared) as teacher:
            asked = (teacher.send(teacher.request([{"role": "user", "content": "Hello"}], seed=n)) for n in range(60))
            for reply in await asyncio.gather(*asked, return_exceptions=True):
                assert not isinstance(reply, BaseException) or isinstance(reply, BudgetError)
                refused += isinstance(reply, BudgetError)
        return refused

    async def both() -> list[int]:
        return await asyncio.gather(process(), process())

    assert sum(asyncio.run(both())) == 120 - 50
    assert honest_teacher.asked() == 50
    assert Night(lake, "shared").spent().calls == 50


def test_a_purse_waits_for_what_runs_and_uses_the_budget_up_to_the_last_cent(lake: Lake) -> None:
    begun(lake, max_cost=1.0)
    shared = Shared()
    purse = shared.open("run", lambda: Night(lake, "run"))

    async def one(number: int) -> None:
        need = Amount(1, 0, 0.3)
        await purse.reserve(number, need)
        await asyncio.sleep(0.01)
        purse.settle(need, Amount(1, 0, 0.1))

    async def main() -> list[object]:
        purse.join()
        found = await asyncio.gather(*(one(n) for n in range(20)), return_exceptions=True)
        purse.leave()
        return list(found)

    found = asyncio.run(main())
    assert sum(isinstance(f, BudgetError) for f in found) == 20 - 8  # 0.8 spent: another one might take 0.3
    assert purse.spent.dollars == pytest.approx(0.8)
    assert Night(lake, "run").draw(Amount(1, 0, 1.0)) == pytest.approx(Amount(0, 0, 0.2))
