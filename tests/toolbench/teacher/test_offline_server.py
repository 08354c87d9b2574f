"""The server, spoken to by the real openai client."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
import uvicorn

from toolbench.errors import UsageError
from toolbench.teacher.offline import MODEL, Faults, create_app, serve

HELLO: list[Any] = [{"role": "user", "content": "Tell me the time zone of Tokyo."}]
ZONE: Any = {
    "type": "function",
    "function": {
        "name": "time_zone_for_geo",
        "description": "Time zone of a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
NO_BATCHES = {"batches": 0, "batched": 0}
Start = Callable[..., str]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers on free ports and returns their addresses; stops them afterwards."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def run(faults: Faults | None = None, api_key: str | None = None) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(faults, api_key), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield run
    for server, thread in running:
        server.should_exit = True
        thread.join()


def client(url: str, key: str = "any") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


def test_models_health_stats_and_reset(start: Start) -> None:
    url = start()
    assert [model.id for model in client(url).models.list()] == [MODEL]
    assert httpx.get(f"{url}/health").json()["status"] == "ok"
    for seed in (1, 1, 2):
        client(url).chat.completions.create(model="any", messages=HELLO, seed=seed)
    httpx.post(f"{url}/v1/chat/completions", content="no json")
    assert (
        httpx.get(f"{url}/stats").json()
        == {"chat": 4, "by_digest_max": 2, "in_flight_max": 1, "distinct": 2} | NO_BATCHES
    )
    httpx.post(f"{url}/reset")
    assert (
        httpx.get(f"{url}/stats").json()
        == {"chat": 0, "by_digest_max": 0, "in_flight_max": 0, "distinct": 0} | NO_BATCHES
    )


@pytest.mark.parametrize("tools", [[], [ZONE]])
def test_a_stream_put_together_is_the_whole_reply(start: Start, tools: list[Any]) -> None:
    api = client(start())
    request: dict[str, Any] = {"model": "any", "messages": HELLO, "seed": 3} | ({"tools": tools} if tools else {})
    whole = api.chat.completions.create(**request)
    with api.chat.completions.stream(**request, stream_options={"include_usage": True}) as stream:
        assembled = stream.get_final_completion()
    ours, theirs = whole.choices[0], assembled.choices[0]
    assert (assembled.id, assembled.usage) == (whole.id, whole.usage)
    assert (theirs.message.content or "", theirs.finish_reason) == (ours.message.content or "", ours.finish_reason)
    calls = [
        [(c.id, c.function.name, c.function.arguments) for c in m.tool_calls or []]
        for m in (ours.message, theirs.message)
    ]  # type: ignore[union-attr]
    assert calls[0] == calls[1]
    assert bool(calls[0]) is bool(tools)


def test_usage_is_streamed_only_if_asked_for(start: Start) -> None:
    api = client(start())
    chunks = list(api.chat.completions.create(model="any", messages=HELLO, stream=True))
    assert len(chunks) > 3
    assert all(chunk.usage is None for chunk in chunks)


def test_a_wrong_key_is_401(start: Start) -> None:
    url = start(api_key="right")
    with pytest.raises(openai.AuthenticationError):
        client(url, "wrong").chat.completions.create(model="any", messages=HELLO)
    with pytest.raises(openai.AuthenticationError):
        client(url, "wrong").models.list()
    assert client(url, "right").chat.completions.create(model="any", messages=HELLO).model == MODEL


def test_bad_requests_are_400_in_openai_s_shape(start: Start) -> None:
    url = f"{start()}/v1/chat/completions"
    for content in ("{", "[]", '{"messages": NaN}', '{"model": "x"}'):
        answer = httpx.post(url, content=content)
        assert answer.status_code == 400
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_the_limit_answers_429_with_seconds_to_wait(start: Start) -> None:
    api = client(start(Faults(rpm=2)))
    for seed in (1, 2):
        api.chat.completions.create(model="any", messages=HELLO, seed=seed)
    with pytest.raises(openai.RateLimitError) as caught:
        api.chat.completions.create(model="any", messages=HELLO, seed=3)
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 60


def test_errors_strike_as_drawn_and_a_repeat_may_pass(start: Start) -> None:
    url = f"{start(Faults(error_rate=0.5))}/v1/chat/completions"
    body = {"model": "any", "messages": HELLO}

    def codes() -> list[int]:
        return [httpx.post(url, json=body).status_code for _ in range(20)]

    first = codes()
    assert set(first) == {200, 500}
    httpx.post(url.replace("/v1/chat/completions", "/reset"))
    assert codes() == first


def test_a_taken_port_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="Cannot listen"):
        serve("127.0.0.1", taken.getsockname()[1])
