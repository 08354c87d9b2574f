import asyncio
from itertools import count
from typing import Any

import pytest
from virtual_time import clock, run

from toolbench.errors import TransientError
from toolbench.settings import TeacherSettings
from toolbench.teacher.line import End, LeftAloneError, Line

URL = "http://teacher.example/v1"


def a_line(ceiling: int = 16, **settings: Any) -> Line:
    line = Line(URL, TeacherSettings(**settings), clock)
    line.join(ceiling)
    return line


class Endpoint:
    """Takes `capacity` requests at once for `seconds` each; answers more with 429 at once."""

    def __init__(self, line: Line, capacity: int, seconds: float = 1.0) -> None:
        self.line, self.capacity, self.seconds = line, capacity, seconds
        self.running = self.refused = self.answered = 0
        self.numbers = count()

    async def ask(self) -> None:
        number = next(self.numbers)
        while True:
            turn = await self.line.turn(number, 0)
            if self.running >= self.capacity:
                self.refused += 1
                self.line.over(turn, End.LIMITED, 0, {}, None)
                await asyncio.sleep(0.1)
                continue
            self.running += 1
            await asyncio.sleep(self.seconds)
            self.running -= 1
            self.answered += 1
            return self.line.over(turn, End.ANSWERED, 0, {}, None)


@pytest.mark.parametrize("capacity", [1, 5, 40, 200])
def test_the_limit_is_found_from_above_and_from_below(capacity: int) -> None:
    async def main() -> tuple[float, Endpoint]:
        endpoint = Endpoint(a_line(256), capacity)
        await asyncio.gather(*(endpoint.ask() for _ in range(30 * capacity)))
        return clock(), endpoint

    seconds, endpoint = run(main())
    assert endpoint.answered == 30 * capacity
    assert seconds < 30 / 0.5, "less than half of what the endpoint can do"
    assert endpoint.refused < endpoint.answered / 2


def test_the_limit_stays_between_one_and_the_ceiling() -> None:
    async def main() -> None:
        line = a_line(4)
        for _ in range(9):
            turn = await line.turn(1, 0)
            await asyncio.sleep(0.01)
            line.over(turn, End.CROWDED, 0, {}, None)
        assert line.limit.value == 1
        endpoint = Endpoint(line, 100)
        await asyncio.gather(*(endpoint.ask() for _ in range(200)))
        assert line.limit.value == 4
        line.join(4)
        line.join(-4)
        assert line.limit.value == 4

    run(main())


def test_requests_that_fail_together_halve_the_limit_once() -> None:
    async def main() -> int:
        line = a_line(16)
        turns = [await line.turn(n, 0) for n in range(16)]
        await asyncio.sleep(1)
        for turn in turns:
            line.over(turn, End.LIMITED, 0, {}, None)
        return line.limit.value

    assert run(main()) == 8


@pytest.mark.parametrize("rpm", [1, 60, 600, 6000])
def test_no_minute_has_more_requests_than_allowed(rpm: int) -> None:
    async def main() -> list[float]:
        line, starts = a_line(rpm=rpm), []
        for n in range(2 * rpm + 1):
            turn = await line.turn(n, 0)
            starts.append(clock())
            line.over(turn, End.ANSWERED, 0, {}, None)
        return starts

    starts = run(main())
    most = max(sum(t <= s < t + 59.999 for s in starts) for t in starts[: rpm + 1 : max(1, rpm // 50)])
    assert most <= rpm * 1.002
    assert starts[-1] <= 120.01


def test_tokens_a_minute_are_kept_and_corrected_by_what_was_used() -> None:
    async def lasts(used: int) -> float:
        line = a_line(tpm=60_000)
        for n in range(31):
            turn = await line.turn(n, 4000)
            line.over(turn, End.ANSWERED, used, {}, None)
        return clock()

    assert run(lasts(4000)) == pytest.approx(120, rel=0.02)
    assert run(lasts(1000)) == pytest.approx(30, rel=0.02)


def test_a_need_beyond_the_rate_is_a_debt_and_no_dead_end() -> None:
    async def main() -> float:
        line = a_line(tpm=600)
        for n in range(2):
            line.over(await line.turn(n, 6000), End.ANSWERED, 6000, {}, None)
        return clock()

    assert run(main()) == pytest.approx(600, rel=0.01)


def test_what_the_headers_say_is_kept_without_any_setting() -> None:
    told = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "58s",
    }

    async def main() -> list[float]:
        line, starts = a_line(), []
        line.over(await line.turn(0, 0), End.ANSWERED, 0, told, None)
        for n in range(4):
            turn = await line.turn(n, 0)
            starts.append(clock())
            line.over(turn, End.ANSWERED, 0, {}, None)
        return starts

    assert run(main()) == pytest.approx([0, 0, 1, 2])


def test_tokens_left_by_the_headers_make_a_large_request_wait_and_a_small_one_go() -> None:
    told = {
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-tokens": "1000",
        "x-ratelimit-reset-tokens": "50s",
    }

    async def main(tokens: int) -> float:
        line = a_line()
        assert not line.meters_tokens
        line.over(await line.turn(0, 0), End.ANSWERED, 0, told, None)
        assert line.meters_tokens
        await line.turn(1, tokens)
        return clock()

    assert run(main(900)) == 0
    assert run(main(3000)) == pytest.approx(20)


def test_a_pause_holds_for_all_and_one_too_long_is_not_waited_for() -> None:
    async def main() -> None:
        line = a_line(retry_seconds=100)
        line.over(await line.turn(0, 0), End.LIMITED, 0, {}, 30.0)
        await asyncio.gather(*(line.turn(n, 0) for n in range(1, 4)))
        assert clock() == pytest.approx(30)
        empty = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h0m0s"}
        line.over(await line.turn(9, 0), End.ANSWERED, 0, empty, None)
        with pytest.raises(TransientError, match=r"asks for a pause of 3600 s.*teacher\.retry_seconds"):
            await line.turn(10, 0)

    run(main())


async def _fail(line: Line, number: int = 0, end: End = End.FAILED) -> bool:
    turn = await line.turn(number, 0)
    line.over(turn, end, 0, {}, None)
    return turn.probe


def test_failures_in_a_row_open_the_circuit_and_one_probe_closes_it() -> None:
    async def main() -> None:
        line = a_line(breaker_failures=3, breaker_seconds=10)
        assert [await _fail(line, n) for n in range(3)] == [False] * 3
        assert line.breaker.open
        tasks = [asyncio.create_task(line.turn(n, 0)) for n in range(5)]
        await asyncio.sleep(11)
        probes = [task for task in tasks if task.done()]
        assert [task.result().probe for task in probes] == [True], "more than one request at an endpoint that is down"
        line.over(probes[0].result(), End.ANSWERED, 0, {}, None)
        assert not any(turn.probe for turn in await asyncio.gather(*tasks[1:]))
        assert clock() == pytest.approx(11)

    run(main())


def test_callers_of_an_endpoint_that_is_gone_give_up_together_and_newcomers_may_try() -> None:
    async def main() -> None:
        line = a_line(breaker_failures=3, breaker_seconds=10, gone_seconds=25)
        for n in range(3):
            await _fail(line, n)
        waiting = [asyncio.create_task(line.turn(n, 0)) for n in range(4, 8)]
        for at in (10, 20):
            assert await _fail(line, 0)
            assert (clock(), line.silence_left()) == (at, 25 - at)
            assert not any(task.done() for task in waiting)
        await asyncio.sleep(5)
        assert line.silence_left() == 0
        line.lost("no answer")
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(r, LeftAloneError) for r in results)
        assert clock() == pytest.approx(25)
        with pytest.raises(LeftAloneError):
            await line.turn(8, 0, gone=0)
        assert await _fail(line, end=End.ANSWERED)
        assert clock() == pytest.approx(35)

    run(main())


def test_silence_counts_while_the_endpoint_is_asked_and_ends_with_a_sign_of_life() -> None:
    async def main() -> None:
        line = a_line(gone_seconds=30)
        await asyncio.sleep(100)
        assert line.silence_left() == 30
        await line.turn(0, 0)
        limited = await line.turn(1, 0)
        await asyncio.sleep(20)
        assert line.silence_left() == 10
        line.over(limited, End.LIMITED, 0, {}, None)
        assert line.silence_left() == 30
        await asyncio.sleep(29)
        line.alive()
        assert line.silence_left() == 30

    run(main())


def test_after_a_rest_silence_is_counted_anew() -> None:
    async def main() -> None:
        line = a_line(gone_seconds=30)
        await _fail(line)
        await asyncio.sleep(29)
        await _fail(line)
        assert line.silence_left() == 1
        await asyncio.sleep(40)
        await line.turn(0, 0)
        assert line.silence_left() == 30

    run(main())


def test_a_slow_endpoint_may_be_silent_for_longer_but_not_beyond_the_timeout() -> None:
    async def patience(seconds: float) -> float:
        line = a_line(gone_seconds=30, timeout=120)
        turn = await line.turn(0, 0)
        await asyncio.sleep(seconds)
        line.over(turn, End.ANSWERED, 0, {}, None)
        return line.patience

    assert [run(patience(seconds)) for seconds in (1, 10, 20, 100)] == [30, 30, 60, 120]


def test_a_probe_that_its_caller_drops_is_followed_by_another() -> None:
    async def main() -> None:
        line = a_line(breaker_failures=1, breaker_seconds=10)
        await _fail(line)
        assert await _fail(line, end=End.DROPPED)
        assert await _fail(line, end=End.ANSWERED)
        assert not await _fail(line)
        assert clock() == pytest.approx(10)

    run(main())


def test_a_rate_limit_is_a_sign_of_life() -> None:
    async def main() -> None:
        line = a_line(breaker_failures=3)
        for end in (End.FAILED, End.FAILED, End.LIMITED, End.FAILED, End.FAILED):
            await _fail(line, end=end)
        assert not line.breaker.open

    run(main())
