"""Whose fault a failure is: a request that only it fails at, or an endpoint that was away and is back."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from test_client import Endpoint, completion, failure

from toolbench.errors import TeacherError
from toolbench.records import Reply
from toolbench.settings import TeacherSettings
from toolbench.teacher.client import Teacher
from toolbench.teacher.shared import Shared
from toolbench.teacher.touch import PAUSE

TRIES = 3
TOUCH = "Say yes."


class Restarted:
    """An endpoint's address: nobody listens there until `start`."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.server: Endpoint | None = None

    def start(self) -> None:
        if self.server is None:
            self.server = Endpoint(self.port)
            self.server.script = [completion()]
            threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()

    @property
    def asked(self) -> list[str]:
        return questions(self.server) if self.server else []


@pytest.fixture
def restarted() -> Iterator[Restarted]:
    place = Restarted()
    yield place
    place.stop()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def questions(server: Endpoint) -> list[str]:
    return [body["messages"][0]["content"] for _, _, body in server.requests]


def send(port: int, paused: Callable[[float], None] = lambda _: None, **more: object) -> Reply:
    """The reply to one question; nobody really sleeps: `paused` is told of each pause instead."""

    async def sleep(seconds: float) -> None:
        paused(seconds)

    async def main() -> Reply:
        values = TeacherSettings(**{"base_url": f"http://127.0.0.1:{port}/v1", "max_retries": TRIES - 1, **more})
        async with Teacher(values, shared=Shared(), sleep=sleep, chance=lambda: 0.1) as teacher:
            return await teacher.send(teacher.request([{"role": "user", "content": "q"}], seed=7))

    return asyncio.run(main())


def test_a_request_that_found_nobody_is_not_blamed_when_the_endpoint_is_back(restarted: Restarted) -> None:
    """All tries were refused a connection; then the endpoint answers that it is there."""

    def paused(seconds: float) -> None:
        if seconds == PAUSE:  # between two looks whether anybody is there
            restarted.start()

    reply = send(restarted.port, paused)
    assert (reply.error, reply.content) == ("", "hi")
    assert restarted.asked == [TOUCH, "q"]


def test_a_proxy_s_word_that_its_endpoint_is_away_is_not_blamed_on_the_request(endpoint: Endpoint) -> None:
    endpoint.script = [failure(502)] * TRIES + [completion()]
    reply = send(endpoint.server_port)
    assert (reply.error, reply.content) == ("", "hi")
    assert questions(endpoint) == ["q"] * TRIES + [TOUCH, "q"]


def test_a_request_is_blamed_once_it_fails_at_an_endpoint_that_is_known_to_answer(endpoint: Endpoint) -> None:
    away = [failure(500)] * TRIES
    endpoint.script = [*away, completion(), failure(500), completion()]
    reply = send(endpoint.server_port)
    assert reply.error.startswith(f"the endpoint answers others and failed at this one {TRIES + 1} times: ")
    assert questions(endpoint) == ["q"] * TRIES + [TOUCH, "q", TOUCH]


def test_one_that_says_not_to_try_again_is_believed(endpoint: Endpoint) -> None:
    endpoint.script = [failure(500, x_should_retry="false"), completion()]
    assert "failed at this one 1 times" in send(endpoint.server_port).error
    assert questions(endpoint) == ["q", TOUCH]


def test_a_request_that_finds_nobody_until_its_time_is_up_is_no_answer(restarted: Restarted) -> None:
    """Somebody listens when asked whether anybody does, which is too late for this request."""
    with pytest.raises(TeacherError, match="cannot be reached"):
        send(restarted.port, lambda s: restarted.start() if s == PAUSE else None, retry_seconds=1e-6)
    assert restarted.asked == [TOUCH]
