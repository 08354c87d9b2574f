import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from toolbench.errors import TeacherError, TransientError
from toolbench.records import FunctionCall, Reply
from toolbench.settings import TeacherSettings
from toolbench.teacher.client import Teacher
from toolbench.teacher.counts import Counts

KEY = "sk-very-SECRET-1234"


class Endpoint(ThreadingHTTPServer):
    """An endpoint on loopback that answers by script: the last entry answers all further requests."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.script: list[tuple[int, dict[str, str], Any]] = []
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.delay = 0.0
        self.running = self.most = 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.requests.append(
                (self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(body or b"null"))
            )
            script = self.server.script
            status, headers, answer = script.pop(0) if len(script) > 1 else script[0]
            self.server.running += 1
            self.server.most = max(self.server.most, self.server.running)
        time.sleep(self.server.delay)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        with self.server.lock:
            self.server.running -= 1
        try:
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass  # the client had enough

    do_GET = do_POST = _do

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def completion(
    message: dict[str, Any] | None = None, finish: str = "stop", **more: Any
) -> tuple[int, dict[str, str], Any]:
    body = {
        "id": "1", "object": "chat.completion", "created": 0, "model": "m-2024",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": "hi", **(message or {})}}
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}, **more,
    }  # fmt: skip
    return 200, {}, body


def failure(
    status: int, message: str = f"bad key {KEY}", code: str = "", **headers: str
) -> tuple[int, dict[str, str], Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, {"error": {"message": message, "type": "x", "code": code}}


def settings(endpoint: Endpoint, **more: Any) -> TeacherSettings:
    base = f"http://127.0.0.1:{endpoint.server_port}/v1"
    return TeacherSettings(**{"base_url": base, "api_key": KEY, "model": "m", "max_retries": 3, "timeout": 5, **more})


def with_teacher(values: TeacherSettings, work: Callable[[Teacher], Any]) -> Any:
    async def scenario() -> Any:
        async with Teacher(values) as teacher:
            return await work(teacher)

    return asyncio.run(scenario())


def send(endpoint: Endpoint, *script: tuple[int, dict[str, str], Any], **more: Any) -> Reply:
    endpoint.script = list(script)
    reply: Reply = with_teacher(
        settings(endpoint, **more), lambda t: t.send(t.request([{"role": "user", "content": "q"}], seed=7))
    )
    return reply


QUICK = {"Retry_After_Ms": "1"}


def test_a_reply_with_its_cost(endpoint: Endpoint) -> None:
    reply = send(endpoint, completion(), prices={"m": (2.0, 30.0), "m-2024": (9.0, 9.0)})
    assert reply == Reply(content="hi", model="m-2024", input_tokens=1000, output_tokens=10, cost=0.0023)
    ((path, headers, body),) = endpoint.requests
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["seed"], body["messages"]) == ("m", 7, [{"role": "user", "content": "q"}])
    assert send(endpoint, completion()).cost == 0


def test_the_request_says_all_that_decides_the_reply(endpoint: Endpoint) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]

    async def work(teacher: Teacher) -> dict[str, Any]:
        plain = teacher.request([], seed=1)
        assert not {"tools", "tool_choice", "response_format"} & set(plain)
        return teacher.request([], seed=1, tools=tools, schema=("s", {"type": "object"}), temperature=0)

    endpoint.script = [completion()]
    body = with_teacher(settings(endpoint), work)
    assert body["tools"] == tools
    assert body["temperature"] == 0
    assert body["response_format"]["json_schema"] == {"name": "s", "schema": {"type": "object"}, "strict": True}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(endpoint: Endpoint, status: int) -> None:
    reply = send(endpoint, failure(status, **QUICK), failure(status, **QUICK), completion())
    assert (reply.content, reply.error, len(endpoint.requests)) == ("hi", "", 3)


def test_retry_after_is_honoured(endpoint: Endpoint) -> None:
    before = time.monotonic()
    assert send(endpoint, failure(429, Retry_After="1"), completion()).content == "hi"
    assert time.monotonic() - before >= 1.0


@pytest.mark.parametrize("status", [429, 500])
def test_what_does_not_pass_is_transient(endpoint: Endpoint, status: int) -> None:
    with pytest.raises(TransientError, match="failed after 2 retries") as caught:
        send(endpoint, failure(status, **QUICK), max_retries=2)
    asked = [body["messages"] for *_, body in endpoint.requests]
    assert [m[0]["content"] for m in asked] == ["q"] * 3 + ["Say yes."] * (3 if status == 500 else 0)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_rejected_request_is_a_reply_with_an_error(endpoint: Endpoint, status: int) -> None:
    reply = send(endpoint, failure(status, f"too long for {KEY}"))
    assert "too long" in reply.error
    assert "SECRET" not in reply.error
    assert (reply.content, reply.calls, len(endpoint.requests)) == (None, [], 1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (failure(401), "refuses the key: set OPENAI_API_KEY"),
        (failure(403), "refuses the key"),
        (failure(404), "does not know the model 'm'"),
        (failure(402, f"pay for {KEY}"), "pay for"),
        (failure(429, code="insufficient_quota", **QUICK), "quota is used up"),
        ((200, {"Content-Type": "text/html"}, b"<html>"), "OPENAI_BASE_URL"),
    ],
)
def test_an_endpoint_that_cannot_be_used(endpoint: Endpoint, answer: Any, words: str) -> None:
    with pytest.raises(TeacherError, match=words) as caught:
        send(endpoint, answer, max_retries=1)
    text = str(caught.value)
    assert f"http://127.0.0.1:{endpoint.server_port}/v1" in text
    assert "SECRET" not in text
    assert "\n" not in text


def _closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.mark.parametrize("what", ["send", "check"])
def test_an_unreachable_endpoint(what: str) -> None:
    values = TeacherSettings(base_url=f"http://127.0.0.1:{_closed_port()}/v1", api_key=KEY, max_retries=0)

    async def work(teacher: Teacher) -> None:
        await (teacher.check() if what == "check" else teacher.send(teacher.request([], seed=1)))

    with pytest.raises(TeacherError, match=r"cannot be reached: start it or set OPENAI_BASE_URL\.$") as caught:
        with_teacher(values, work)
    assert "SECRET" not in str(caught.value)


def test_a_timeout_is_transient(endpoint: Endpoint) -> None:
    endpoint.delay = 1.0
    with pytest.raises(TransientError, match=r"did not answer within 0\.1 s"):
        send(endpoint, completion(), timeout=0.1, max_retries=0)


def test_a_broken_answer_is_transient(endpoint: Endpoint) -> None:
    with pytest.raises(TransientError, match="not JSON"):
        send(endpoint, (200, {}, b'{"choices": ['), max_retries=0)
    assert send(endpoint, (200, {}, b'{"choices": ['), completion()).content == "hi"


def test_a_refusal_and_a_filtered_reply_are_errors(endpoint: Endpoint) -> None:
    refused = send(endpoint, completion({"content": None, "refusal": "I can't\nhelp"}))
    assert refused.error == "the teacher refused: I can't help"
    assert refused.output_tokens == 10
    assert "content filter" in send(endpoint, completion(finish="content_filter")).error


@pytest.mark.parametrize("choices", [[], None, [{"index": 0, "message": None}]])
def test_an_answer_without_a_choice_is_an_error(endpoint: Endpoint, choices: Any) -> None:
    assert send(endpoint, completion(choices=choices)).error == "the endpoint answered without a choice"


def test_calls_and_reasoning_are_mapped(endpoint: Endpoint) -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "b", "function": {"name": "g", "arguments": {"y": "ü"}}},
    ]
    message = {"content": "", "tool_calls": calls, "reasoning_content": "because"}
    reply = send(endpoint, completion(message, "tool_calls"))
    assert reply.calls == [
        FunctionCall(id="a", name="f", arguments='{"x": 1}'),
        FunctionCall(id="b", name="g", arguments='{"y": "ü"}'),
    ]
    assert (reply.content, reply.reasoning, reply.finish_reason) == (None, "because", "tool_calls")
    assert send(endpoint, completion({"reasoning": "so"})).reasoning == "so"


def test_what_goes_wrong_with_replies_is_counted(endpoint: Endpoint) -> None:
    def called(arguments: Any) -> dict[str, Any]:
        return {"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}]}

    endpoint.script = [
        failure(429, **QUICK),
        failure(503, **QUICK),
        completion({"refusal": "no"}),
        completion(finish="content_filter"),
        completion(finish="length"),
        completion(called('{"x": 1')),
        completion(called("[1]")),
        completion(choices=[]),
        completion(called({"x": 1})),
    ]

    async def work(teacher: Teacher) -> Counts:
        for seed in range(7):
            await teacher.send(teacher.request([], seed=seed))
        return teacher.counts

    assert with_teacher(settings(endpoint), work) == Counts(
        retries=2, rate_limited=1, failures=1, refusals=1, content_filter=1, truncated=1, malformed=3
    )


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "text", "text": "hi"}, 3]},
        {"content": "hi", "tool_calls": {"id": 1}},
        {"content": "hi", "tool_calls": [None, 5, {"function": None}, {"type": "custom", "custom": {"name": "x"}}]},
        {"content": "hi", "reasoning_content": {"a": 1}, "refusal": ["x"]},
    ],
)
def test_odd_shapes_are_read_as_far_as_they_can_be(endpoint: Endpoint, message: dict[str, Any]) -> None:
    reply = send(endpoint, completion(message))
    assert (reply.content, reply.calls, reply.error, reply.reasoning) == ("hi", [], "", None)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": None, "completion_tokens": None}])
def test_missing_usage_counts_nothing(endpoint: Endpoint, usage: Any) -> None:
    reply = send(endpoint, completion(usage=usage), prices={"m": (1.0, 1.0)})
    assert (reply.input_tokens, reply.output_tokens, reply.cost, reply.content) == (0, 0, 0, "hi")


def test_no_more_requests_at_once_than_allowed_and_waiting_is_no_timeout(endpoint: Endpoint) -> None:
    endpoint.delay, endpoint.script = 0.1, [completion()]

    async def work(teacher: Teacher) -> list[Reply]:
        return await asyncio.gather(*(teacher.send(teacher.request([], seed=n)) for n in range(12)))

    replies = with_teacher(settings(endpoint, max_concurrency=2, timeout=0.5, max_retries=0), work)
    assert [r.content for r in replies] == ["hi"] * 12
    assert endpoint.most == 2


def test_check_asks_for_the_models_and_costs_nothing(endpoint: Endpoint) -> None:
    endpoint.script = [(200, {}, {"object": "list", "data": []})]
    with_teacher(settings(endpoint), lambda teacher: teacher.check())
    assert [path for path, *_ in endpoint.requests] == ["/v1/models"]
    endpoint.script = [failure(404)]
    with_teacher(settings(endpoint), lambda teacher: teacher.check())
    endpoint.script = [failure(401)]
    with pytest.raises(TeacherError, match="refuses the key") as caught:
        with_teacher(settings(endpoint), lambda teacher: teacher.check())
    assert "SECRET" not in str(caught.value)


def test_no_proxy_of_the_environment_is_used(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{_closed_port()}")
    assert send(endpoint, completion(), max_retries=0).content == "hi"


def test_an_endpoint_that_was_there_once_is_waited_for_at_the_next_check() -> None:
    """Without anybody saying so: other processes may have asked all that was asked in between."""
    port = _closed_port()
    values = TeacherSettings(base_url=f"http://127.0.0.1:{port}/v1", max_retries=0, gone_seconds=3)

    async def work(teacher: Teacher) -> float:
        first = Endpoint(port)
        first.script = [(200, {}, {"object": "list", "data": []})]
        threading.Thread(target=first.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        await teacher.check()
        first.shutdown()
        first.server_close()
        began = time.monotonic()
        with pytest.raises(TeacherError, match="cannot be reached"):
            await teacher.check()
        return time.monotonic() - began

    assert with_teacher(values, work) >= 3


@pytest.mark.parametrize("what", ["send", "check"])
def test_an_endpoint_that_is_started_again_is_waited_for(what: str) -> None:
    """However few ask, and whether it is a request or a check: for less than it takes to be gone."""
    port = _closed_port()
    values = TeacherSettings(base_url=f"http://127.0.0.1:{port}/v1", max_retries=1, gone_seconds=60)
    servers: list[Endpoint] = []

    def start() -> None:
        server = Endpoint(port)
        server.script = [completion()]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)

    async def work(teacher: Teacher) -> None:
        await (teacher.check(patience=60) if what == "check" else teacher.send(teacher.request([], seed=1)))

    later = threading.Timer(4, start)  # longer than two tries take
    later.start()
    try:
        with_teacher(values, work)
        assert servers
        assert servers[0].requests
    finally:
        later.join()
        for server in servers:
            server.shutdown()
            server.server_close()
