"""Turns, pace, tries again, and hosts that are left alone; the clock is the tests' own."""

import asyncio
import contextlib
import dataclasses
import datetime
import itertools
import threading
import time
from collections.abc import Iterator
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_host import PUBLIC, Answer, Detour, Host, Names, Seen, api, ask, call, serving

from toolbench.apis.failure import Failed
from toolbench.apis.live import Live
from toolbench.apis.politeness import Breaker, Breakers, Budget, Gates, Pace, pause, retry_after
from toolbench.records import Response
from toolbench.settings import ApiSettings, HostSettings


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as server:
        yield server


def answered(response: Response | None) -> Response:
    assert response is not None
    return response


def test_starts_are_evenly_spaced_and_rest_is_not_saved_up() -> None:
    async def scenario() -> list[float]:
        time = Time()
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        pace = Pace(4, time, sleep)
        for _ in range(3):
            await pace.wait()
        time.now += 100
        for _ in range(3):
            await pace.wait()
        return slept

    assert asyncio.run(scenario()) == [0.25, 0.5, 0.25, 0.5]


def test_no_rate_is_no_wait() -> None:
    time = Time()

    async def scenario() -> None:
        pace = Pace(0, time, time.sleep)
        for _ in range(50):
            await pace.wait()

    asyncio.run(scenario())
    assert time.slept == []


def gate_run(settings: ApiSettings, rules: list[tuple[str, HostSettings]]) -> tuple[int, dict[str, int]]:
    """Many requests at once; the most that were under way, overall and by host."""
    now: dict[str, int] = {}
    most: dict[str, int] = {}
    overall = [0]

    async def one(gates: Gates, host: str, rule: HostSettings) -> None:
        async with Budget(5) as budget, gates.of(host, rule).turn(budget, "C/t/a"):
            now[host] = now.get(host, 0) + 1
            most[host] = max(most.get(host, 0), now[host])
            overall[0] = max(overall[0], sum(now.values()))
            await asyncio.sleep(0.001)
            now[host] -= 1

    async def scenario() -> None:
        gates = Gates(settings)
        await asyncio.gather(*(one(gates, host, rule) for _ in range(20) for host, rule in rules))

    asyncio.run(scenario())
    return overall[0], most


def test_each_host_has_its_own_limit_and_all_share_one() -> None:
    settings = ApiSettings(max_concurrency=6, concurrency_per_host=3, rate_per_host=0)
    rules = [("a", HostSettings()), ("b", HostSettings(concurrency=1)), ("c", HostSettings(concurrency=50))]
    overall, most = gate_run(settings, rules)
    assert overall == 6
    assert most["b"] == 1
    assert most["a"] <= 3
    assert most["c"] > 1
    assert gate_run(settings, [("a", HostSettings())])[1] == {"a": 3}


def test_all_shards_of_a_process_keep_to_a_hosts_limits_together(host: Host) -> None:
    """Three event loops in threads of their own, as shards have."""
    running, most = 0, 0
    lock, starts = threading.Lock(), []

    def answer(_: Any) -> Any:
        nonlocal running, most
        with lock:
            running, starts[len(starts) :] = running + 1, [time.monotonic()]
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return 200, {"Content-Type": "application/json"}, b"{}"

    host.answer = answer
    rule = {"connect": host.base, "concurrency": 2, "rate": 100}

    async def shard() -> None:
        live = Live(ApiSettings(**{"hosts": {"api.example.com": rule}, "timeout": 20}))
        answers = await asyncio.gather(*(live.call(api(), {"q": n}) for n in range(8)))
        await live.close()
        assert [answered(a).status for a in answers] == [0] * 8

    threads = [threading.Thread(target=asyncio.run, args=(shard(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(starts) == 24
    assert most == 2
    assert max(starts) - min(starts) >= 23 / 100 * 0.9


def test_a_host_that_one_shard_found_dead_is_left_alone_by_the_others() -> None:
    time, network = Time(), Detour()
    settings = ApiSettings(**{"hosts": {"api.example.com": ""}, "breaker_failures": 2, "retries": 0})

    async def shard() -> list[str]:
        live = Live(settings, resolve=Names(api_example_com=[[PUBLIC]]), network=network, clock=time, sleep=time.sleep)
        answers = [answered(await live.call(api(), {})) for _ in range(2)]
        await live.close()
        return [a.error for a in answers]

    asyncio.run(shard())
    assert all("left alone" in error for error in asyncio.run(shard()))
    assert len(network.connected) == 2


def test_waiting_for_a_turn_takes_nothing_of_the_time() -> None:
    async def scenario() -> list[float]:
        gates = Gates(ApiSettings(concurrency_per_host=1, rate_per_host=0))
        left = []

        async def one() -> None:
            async with Budget(0.2) as budget, gates.of("a", HostSettings()).turn(budget, "C/t/a"):
                left.append(budget.left)
                await asyncio.sleep(0.05)

        await asyncio.gather(*(one() for _ in range(8)))
        return left

    assert min(asyncio.run(scenario())) > 0.15


def breaker_with(failures: int = 2, seconds: float = 30) -> tuple[Breaker, Time]:
    time = Time()
    return Breaker("a.example", failures, seconds, time), time


async def attempt(breaker: Breaker, outcome: str) -> None:
    """One request that ends as told."""
    if outcome == "timeout":
        with contextlib.suppress(TimeoutError):
            async with Budget(0.001) as budget:
                with breaker.watch(budget):
                    await asyncio.sleep(5)
        return
    async with Budget(5) as budget:
        try:
            with breaker.watch(budget):
                if outcome != "fine":
                    raise Failed(outcome, lost=outcome == "lost")
        except Failed as failure:
            if str(failure) != outcome:
                raise


def outcomes(breaker: Breaker, *names: str) -> None:
    async def scenario() -> None:
        for name in names:
            await attempt(breaker, name)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["lost", "timeout"])
def test_a_host_that_fails_in_a_row_is_left_alone_for_a_while(kind: str) -> None:
    breaker, time = breaker_with()
    outcomes(breaker, kind, "fine", kind)
    breaker.check()
    outcomes(breaker, kind)
    with pytest.raises(Failed, match=r"a\.example is left alone for 30 s after 2 failures in a row"):
        breaker.check()
    with pytest.raises(Failed, match="left alone"):
        outcomes(breaker, "fine")
    time.now += 29.9
    with pytest.raises(Failed, match="left alone"):
        breaker.check()
    time.now += 0.2
    outcomes(breaker, kind)
    with pytest.raises(Failed, match="after 3 failures"):
        breaker.check()
    time.now += 31
    outcomes(breaker, "fine", "fine")
    breaker.check()


def test_what_is_no_failure_of_the_connection_does_not_count_and_ends_the_row() -> None:
    breaker, _ = breaker_with()
    outcomes(breaker, "lost", *["too large"] * 5, "lost")
    breaker.check()
    outcomes(breaker, "lost")
    with pytest.raises(Failed, match="after 2 failures in a row"):
        breaker.check()


def test_one_call_at_a_time_finds_out_whether_a_host_is_back() -> None:
    breaker, time = breaker_with(failures=1)
    outcomes(breaker, "lost")
    time.now += 31

    async def scenario() -> None:
        async with Budget(5) as budget:
            with breaker.watch(budget), pytest.raises(Failed, match="left alone"):
                breaker.check()
        breaker.check()

    asyncio.run(scenario())


def test_a_cancelled_probe_says_nothing() -> None:
    breaker, time = breaker_with(failures=1)
    outcomes(breaker, "lost")
    time.now += 31

    async def cancelled() -> None:
        async with Budget(5) as budget:
            with breaker.watch(budget):
                raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    breaker.check()
    outcomes(breaker, "fine")


def test_an_api_that_never_answers_is_left_alone_and_the_others_of_its_host_are_not(host: Host) -> None:
    """One slow API once took all others of its host away for half a minute at a time."""

    def answer(seen: Seen) -> Answer:
        time.sleep(0.3 if "slow" in seen[1] else 0)
        return 200, {}, b"{}"

    host.answer = answer
    slow = dataclasses.replace(api(url="https://api.example.com/slow"), id="C/t/slow")

    async def scenario() -> list[str]:
        hosts = {"api.example.com": host.base}
        live = Live(ApiSettings(**{"hosts": hosts, "timeout": 0.1, "breaker_failures": 3, "rate_per_host": 0}))
        said = [answered(await live.call(slow, {})).error for _ in range(5)]
        said += [answered(await live.call(api(), {})).error for _ in range(3)]
        said += [answered(await live.call(slow, {})).error]
        await live.close()
        return said

    alone = "C/t/slow at api.example.com is left alone for 30 s after 3 failures in a row"
    assert asyncio.run(scenario()) == ["No answer within 0.1 seconds"] * 3 + [alone] * 2 + [""] * 3 + [alone]


async def asked(breakers: Breakers, name: str, *, lost: bool = True) -> str:
    """What comes of one call of an API."""
    try:
        async with Budget(5) as budget:
            with breakers.watch(budget, name):
                if lost:
                    raise Failed("lost", lost=True)
    except Failed as failure:
        return str(failure)
    return "fine"


def test_a_host_is_left_alone_once_many_of_its_apis_failed_in_a_row() -> None:
    now = Time()
    breakers = Breakers("a.example", 3, 30, now)
    alone = "a.example is left alone for 30 s after 3 APIs failed in a row"

    async def scenario() -> list[str]:
        said = [await asked(breakers, name) for name in ("a", "b", "a", "b")]
        said += [await asked(breakers, "c", lost=False)]  # the row ends here
        said += [await asked(breakers, name) for name in ("c", "d", "d", "e", "f", "c")]
        now.now += 31
        said += [await asked(breakers, name, lost=False) for name in ("f", "c")]
        return said

    assert asyncio.run(scenario()) == [*["lost"] * 4, "fine", *["lost"] * 4, alone, alone, "fine", "fine"]


def test_what_is_not_sent_says_nothing_of_the_host() -> None:
    now = Time()
    breakers = Breakers("a.example", 2, 30, now)

    async def scenario() -> list[str]:
        return [await asked(breakers, name) for name in ("a", "a", "a", "b", "c")]

    own = "a at a.example is left alone for 30 s after 2 failures in a row"
    hosts = "a.example is left alone for 30 s after 2 APIs failed in a row"
    assert asyncio.run(scenario()) == ["lost", "lost", own, "lost", hosts]


def test_a_dead_host_is_not_asked_for_ever() -> None:
    time, network = Time(), Detour()
    settings = ApiSettings(
        **{"hosts": {"api.example.com": ""}, "breaker_failures": 4, "breaker_seconds": 60, "retries": 0}
    )

    async def scenario() -> list[Response]:
        live = Live(settings, resolve=Names(api_example_com=[[PUBLIC]]), network=network, clock=time, sleep=time.sleep)
        answers = [answered(await live.call(api(), {})) for _ in range(6)]
        time.now += 60
        answers += [answered(await live.call(api(), {})) for _ in range(2)]
        await live.close()
        return answers

    answers = asyncio.run(scenario())
    assert [a.status for a in answers] == [12] * 8
    alone = ["left alone for 60 s" in a.error for a in answers]
    assert alone == [False] * 4 + [True] * 2 + [False, True]
    assert len(network.connected) == 5


def test_an_answer_of_500_leaves_no_host_alone(host: Host) -> None:
    host.says(b"{}", 500)

    async def scenario() -> list[str]:
        live = Live(ApiSettings(**{"hosts": {"api.example.com": host.base}, "breaker_failures": 1, "rate_per_host": 0}))
        answers = [answered(await live.call(api(), {})) for _ in range(3)]
        await live.close()
        return [a.error for a in answers]

    assert asyncio.run(scenario()) == ["HTTP 500: {}"] * 3


def sequence(host: Host, *answers: tuple[int, dict[str, str]]) -> None:
    """Answers one after the other; the last one stays."""
    rest = itertools.chain(answers, itertools.repeat(answers[-1]))
    host.answer = lambda _: (*(found := next(rest)), b'"body"' if found[0] == 200 else b"{}")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_only_what_changes_nothing_is_tried_again(host: Host, method: str, status: int) -> None:
    sequence(host, (status, {}), (status, {}), (200, {}))
    time = Time()
    settings = {"hosts": {"api.example.com": {"connect": host.base, "methods": (method,)}}, "rate_per_host": 0}
    response = answered(ask(settings, api(method=method), clock=time, sleep=time.sleep))
    again = method in ("GET", "HEAD")
    assert (len(host.seen), response.status) == ((3, 0) if again else (1, 6))
    assert len(time.slept) == (2 if again else 0)
    assert all(0.1 <= slept <= 0.4 for slept in time.slept)


@pytest.mark.parametrize(
    ("status", "headers", "tries", "slept"),
    [
        (429, {}, 1, None), (429, {"Retry-After": "2"}, 3, 2.0), (429, {"Retry-After": "soon"}, 1, None),
        (429, {"Retry-After": "60"}, 1, None), (503, {"Retry-After": "3"}, 3, 3.0),
        (503, {"Retry-After": "60"}, 1, None),
        (500, {}, 1, None), (404, {}, 1, None), (400, {"Retry-After": "1"}, 1, None),
    ],
)  # fmt: skip
def test_a_host_that_says_when_is_asked_then_or_not_at_all(
    host: Host, status: int, headers: dict[str, str], tries: int, slept: float | None
) -> None:
    sequence(host, (status, headers))
    time = Time()
    settings: dict[str, Any] = {"hosts": {"api.example.com": host.base}, "rate_per_host": 0, "timeout": 20}
    response = answered(ask(settings, api(), clock=time, sleep=time.sleep))
    assert response.error == f"HTTP {status}: {{}}"
    assert len(host.seen) == tries
    assert time.slept == ([slept] * 2 if slept else [])


def test_a_lost_connection_is_tried_again() -> None:
    network, time = Detour(), Time()
    settings = {"hosts": {"api.example.com": ""}, "retries": 3, "rate_per_host": 0}
    names = Names(api_example_com=[[PUBLIC]])
    response = answered(ask(settings, api(), resolve=names, network=network, sleep=time.sleep, clock=time))
    assert (response.status, response.error) == (12, "Sending failed: ConnectError")
    assert (len(network.connected), len(time.slept)) == (4, 3)


def test_tries_again_stay_within_the_time_of_one_call(host: Host) -> None:
    host.says(b"{}", 503)
    response = answered(call(host, api(), timeout=0.05, retries=10, rate_per_host=0))
    assert (response.status, len(host.seen)) == (6, 1)


def test_tries_again_count_for_the_pace(host: Host) -> None:
    sequence(host, (503, {}), (200, {}))
    time = Time()
    settings = {"hosts": {"api.example.com": {"connect": host.base, "rate": 0.1}}}
    assert answered(ask(settings, api(), clock=time, sleep=time.sleep)).status == 0
    assert sum(time.slept) == pytest.approx(10)


@given(st.integers(1, 60))
def test_pauses_grow_and_end(tries: int) -> None:
    longest = min(0.2 * 2 ** (tries - 1), 5.0)
    assert longest / 2 <= pause(tries) <= longest


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), (" 7 ", 7.0), ("", None), (None, None), ("-1", None), ("1.5", None), ("²", None),
     ("9" * 50, 999999999.0),
     ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0), ("Sun, 06 Nov 99999 08:49:37 GMT", None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_retry_after_may_be_a_date_to_come() -> None:
    date = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=100)
    assert 90 < (retry_after(format_datetime(date, usegmt=True)) or 0) <= 100


@given(st.text(max_size=40))
def test_any_retry_after_is_read(value: str) -> None:
    found = retry_after(value)
    assert found is None or found >= 0
