"""The client against endpoints that refuse, fail, and cost something; it never really sleeps for long."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from workshop import Mortal, Server, offline

from toolbench.errors import BudgetError, TeacherError, TransientError
from toolbench.records import Reply
from toolbench.settings import TeacherSettings
from toolbench.teacher import Teacher
from toolbench.teacher.shared import Shared

Start = Callable[..., Server]


class Sleeper:
    """Time that passes while the client pauses between tries; the clock of the limits goes with it."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def clock(self) -> float:
        return time.monotonic() + sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Server] = []

    def begin(app: Any = None, **faults: Any) -> Server:
        running.append(Server(app) if app else offline(**faults))
        return running[-1]

    yield begin
    for server in running:
        server.stop()


def asked(values: TeacherSettings, count: int, **parts: Any) -> tuple[list[Any], Teacher]:
    """Replies or exceptions of `count` requests at once."""

    async def main() -> tuple[list[Any], Teacher]:
        async with Teacher(values, **{"shared": Shared(), **parts}) as teacher:
            bodies = [teacher.request([{"role": "user", "content": f"Question {n}"}], seed=n) for n in range(count)]
            return await asyncio.gather(*(teacher.send(b) for b in bodies), return_exceptions=True), teacher

    return asyncio.run(main())


def to(*servers: Server, **more: Any) -> TeacherSettings:
    urls = [f"{server.url}/v1" for server in servers]
    where = {"base_url": urls[0]} if len(urls) == 1 else {"endpoints": dict.fromkeys(urls, 1.0)}
    return TeacherSettings(**{**where, "max_retries": 12, **more})


def test_every_reply_arrives_from_an_endpoint_that_fails_often(start: Start) -> None:
    sleeper = Sleeper()
    values = to(start(error_rate=0.4, refusal_rate=0.2))
    replies, teacher = asked(values, 100, sleep=sleeper.sleep)
    assert all(isinstance(r, Reply) for r in replies)
    assert teacher.counts.failures == teacher.counts.retries == len(sleeper.slept) > 30
    assert teacher.counts.refusals == sum("refused" in r.error for r in replies) > 5
    assert max(sleeper.slept) <= 8


def test_pauses_are_jittered_in_full_and_grow(start: Start) -> None:
    def pauses(chance: float) -> list[float]:
        sleeper = Sleeper()
        values = to(start(error_rate=1.0), max_retries=6)
        (failed,), _ = asked(values, 1, sleep=sleeper.sleep, chance=lambda: chance)
        assert isinstance(failed, TransientError)
        assert "failed after 6 retries" in str(failed)
        return sleeper.slept[:-2]  # the last are those of being asked whether it is there at all

    assert pauses(1.0) == [0.5, 1, 2, 4, 8, 8]
    assert pauses(0.0) == [0] * 6


def test_tries_end_when_their_time_is_up(start: Start) -> None:
    sleeper = Sleeper()
    values = to(start(error_rate=1.0), retry_seconds=3)
    (failed,), _ = asked(values, 1, sleep=sleeper.sleep, chance=lambda: 1.0, shared=Shared(sleeper.clock))
    assert isinstance(failed, TransientError)
    assert sleeper.slept[:2] == [0.5, 1]
    assert sleeper.slept[2:] == [1, 1], "asked three times whether it is there at all"


def test_a_rate_limit_is_counted_and_a_pause_too_long_is_not_waited_for(start: Start) -> None:
    server = start(rpm=3)
    replies, teacher = asked(to(server, retry_seconds=5), 6)
    good = [r for r in replies if isinstance(r, Reply)]
    assert len(good) == 3
    assert all(isinstance(r, TransientError) for r in replies if r not in good)
    assert teacher.counts.rate_limited == 3
    assert server.asked() == 6


def test_rate_limited_requests_come_again_when_the_endpoint_said(start: Start) -> None:
    sleeper = Sleeper()
    (first, second), teacher = asked(
        to(start(rpm=1), max_retries=1), 2, sleep=sleeper.sleep, shared=Shared(sleeper.clock)
    )
    # The server's own minute does not pass faster: the second try is refused, too, after the pause it asked for.
    assert isinstance(first, Reply) != isinstance(second, Reply)
    assert [round(s) // 10 for s in sleeper.slept] == [6]
    assert (teacher.counts.rate_limited, teacher.counts.retries) == (2, 1)


def test_an_endpoint_that_is_down_is_asked_a_bounded_number_of_times(start: Start) -> None:
    server = start(Mortal(lives=0))
    before = time.monotonic()
    values = to(server, breaker_failures=5, breaker_seconds=0.1, max_concurrency=4, gone_seconds=0.5)
    replies, _ = asked(values, 40, sleep=Sleeper().sleep)
    gone = f"The teacher at {server.url}/v1 is gone (HTTP 500): start it or set OPENAI_BASE_URL, then run again."
    assert {(type(r), str(r)) for r in replies} == {(TeacherError, gone)}
    assert time.monotonic() - before < 10


def test_a_budget_in_calls_is_exact_and_replies_paid_for_arrive(start: Start) -> None:
    server = start()
    replies, _ = asked(to(server, budget_calls=7), 20)
    assert sum(isinstance(r, Reply) for r in replies) == server.asked() == 7
    assert sum(isinstance(r, BudgetError) for r in replies) == 13


@pytest.mark.parametrize("budget", [{"budget_tokens": 1500}, {"budget_dollars": 0.004}])
def test_budgets_in_tokens_and_dollars_are_kept(start: Start, budget: dict[str, Any]) -> None:
    server = start(error_rate=0.3)
    values = to(server, prices={"offline-teacher": (1.0, 4.0)}, max_output_tokens=300, **budget)
    replies, _ = asked(values, 60, sleep=Sleeper().sleep)
    good = [r for r in replies if isinstance(r, Reply)]
    assert 5 < len(good) < 60
    assert {type(r) for r in replies} == {Reply, BudgetError}
    assert sum(r.input_tokens + r.output_tokens for r in good) <= budget.get("budget_tokens", 1e9)
    assert sum(r.cost for r in good) <= budget.get("budget_dollars", 1e9)


def test_clients_of_one_process_share_the_budget(start: Start) -> None:
    shared, values = Shared(), to(start(), budget_calls=3)
    first, _ = asked(values, 2, shared=shared)
    second, _ = asked(values, 2, shared=shared)
    assert [type(r) for r in first + second].count(Reply) == 3


def test_several_endpoints_share_the_requests_and_stand_in_for_each_other(start: Start) -> None:
    servers = start(), start()
    values = to(*servers, breaker_failures=3, breaker_seconds=60)
    replies, _ = asked(values, 40)
    shares = [server.asked() for server in servers]
    assert sum(shares) == 40
    assert min(shares) > 8
    again, _ = asked(values, 40)
    assert (again, [server.asked() for server in servers]) == (replies, [2 * share for share in shares])
    servers[0].stop()
    left, teacher = asked(values, 40, sleep=Sleeper().sleep)
    assert left == replies
    assert teacher.counts.retries >= 3


def test_several_endpoints_that_are_all_down_end_the_waiting(start: Start) -> None:
    servers = start(Mortal(lives=0)), start(Mortal(lives=0))
    values = to(*servers, breaker_failures=3, breaker_seconds=0.1, gone_seconds=0.5)
    replies, _ = asked(values, 10, sleep=Sleeper().sleep)
    assert all(isinstance(r, TeacherError) and all(s.url in str(r) for s in servers) for r in replies)


def test_an_endpoint_that_is_back_gets_its_share_again(start: Start) -> None:
    class Sick(Mortal):
        """Answers 500 to the first `lives` chat requests only."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            chat = scope["type"] == "http" and scope["path"].endswith("/chat/completions")
            lives = self._lives
            self._lives = -1 if chat and lives > 0 else 1
            await super().__call__(scope, receive, send)
            self._lives = lives - chat

    shared, servers = Shared(), (start(Sick(lives=3)), start())
    values = to(*servers, breaker_failures=3, breaker_seconds=0.1)
    first, _ = asked(values, 20, shared=shared, sleep=Sleeper().sleep)
    time.sleep(0.15)
    before = servers[0].asked()
    second, _ = asked(values, 20, shared=shared, sleep=Sleeper().sleep)
    assert all(isinstance(r, Reply) for r in first + second)
    assert servers[0].asked() > before + 1


def test_check_wants_one_endpoint_that_answers(start: Start) -> None:
    async def check(values: TeacherSettings) -> None:
        async with Teacher(values, shared=Shared()) as teacher:
            await teacher.check()

    dead = "http://127.0.0.1:9/v1"
    server = start()
    asyncio.run(check(TeacherSettings(endpoints={dead: 1, f"{server.url}/v1": 1})))
    with pytest.raises(TeacherError, match="cannot be reached"):
        asyncio.run(check(TeacherSettings(endpoints={dead: 1, "http://127.0.0.1:10/v1": 1})))


def test_who_is_cancelled_leaves_no_slot_behind(start: Start) -> None:
    async def main() -> None:
        async with Teacher(to(start(latency_ms=50), max_concurrency=2), shared=Shared()) as teacher:
            body = teacher.request([{"role": "user", "content": "q"}], seed=1)
            tasks = [asyncio.create_task(teacher.send(body)) for _ in range(8)]
            await asyncio.sleep(0.02)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            replies = await asyncio.wait_for(asyncio.gather(*(teacher.send(body) for _ in range(4))), 10)
            assert all(isinstance(r, Reply) for r in replies)

    asyncio.run(main())
