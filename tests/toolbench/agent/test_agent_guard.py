"""Who may ask: keys, names, origins, addresses; and the headers of every answer."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from agent_lake import FINE, Scripted
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from toolbench.agent.app import KEYS, keys_of
from toolbench.agent.gate import FullError, Gate
from toolbench.agent.guard import Guard
from toolbench.cli import app
from toolbench.errors import UsageError
from toolbench.serving.listening import check_address, is_loopback

ASKED = {"model": "toolbench-agent", "messages": [{"role": "user", "content": "Rain?"}]}
PLACES = [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/v1/models/x"), ("POST", "/mcp")]


@pytest.fixture(scope="module")
def keyed(start: Callable[..., str]) -> str:
    return start(agent={"api_keys": "sesame, other"})


@pytest.fixture(scope="module")
def named(start: Callable[..., str]) -> str:
    return start(agent={"hosts": ["Agent.example.com"], "origins": ["https://chat.example.com"]})


@pytest.mark.parametrize("key", [None, "Sesame", "sesame,", "sesame, other", "Bearer", "x" * 5000])
@pytest.mark.parametrize(("method", "path"), PLACES)
def test_without_one_of_the_keys_nothing_is_answered(
    keyed: str, teacher: Scripted, method: str, path: str, key: str | None
) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    answer = httpx.request(method, keyed + path, headers=headers, json=ASKED if method == "POST" else None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert teacher.asked == []


@pytest.mark.parametrize("key", ["sesame", "other"])
def test_with_one_of_them_it_is(keyed: str, teacher: Scripted, key: str) -> None:
    teacher.says(FINE)
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{keyed}/v1/models", headers=headers).status_code == 200
    assert httpx.post(f"{keyed}/v1/chat/completions", headers=headers, json=ASKED).status_code == 200


def test_the_page_asks_for_the_key_and_needs_none_itself(keyed: str, url: str) -> None:
    assert httpx.get(keyed).status_code == 200
    quiet = {"status": "ok", "working": 0, "ending": 0, "waiting": 0}
    assert httpx.get(f"{keyed}/health").json() == {**quiet, "key": True}
    assert httpx.get(f"{url}/health").json() == {**quiet, "key": False}


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8704", True), ("localhost", True), ("LocalHost:99", True), ("[::1]:8704", True),
        ("192.168.1.7:8704", True), ("agent.example.com", True), ("localhost.", True),
        ("evil.example:8704", False), ("localhost.evil.example", False), ("127.0.0.1.evil.example", False),
        ("evil.example@127.0.0.1", False), ("", False), ("[", False), ("[::1", False), ("127.1", False),
    ],
)  # fmt: skip
def test_only_names_of_its_own_are_answered(named: str, host: str, known: bool) -> None:
    answer = httpx.get(f"{named}/health", headers={"Host": host})
    assert answer.status_code == (200 if known else 421) or (not host and answer.status_code == 400)


@given(st.text(max_size=40))
def test_no_name_breaks_the_guard(host: str) -> None:
    assert Guard(None, ("a.example",))._known(host) in (True, False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://{own}", True), ("https://{own}", True), ("https://chat.example.com", True),
        ("http://evil.example", False), ("null", False), ("http://127.0.0.1:1", False), ("http://{own}.evil", False),
    ],
)  # fmt: skip
def test_pages_of_other_origins_cannot_ask(named: str, teacher: Scripted, origin: str, allowed: bool) -> None:
    teacher.says(FINE)
    origin = origin.format(own=named.removeprefix("http://"))
    # What a page may send across without asking first: a form's content types.
    headers = {"Origin": origin, "Content-Type": "text/plain"}
    answer = httpx.post(f"{named}/v1/chat/completions", headers=headers, json=ASKED)
    assert answer.status_code == (200 if allowed else 403)
    assert len(teacher.asked) == allowed
    shared = answer.headers.get("access-control-allow-origin")
    assert shared == (origin if "chat.example" in origin else None)


def test_no_page_is_allowed_by_default(url: str) -> None:
    headers = {"Origin": "https://chat.example.com", "Access-Control-Request-Method": "POST"}
    answer = httpx.request("OPTIONS", f"{url}/v1/chat/completions", headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/page/chat.js", "/health", "/v1/models", "/nowhere", "/../app.py"])
def test_every_answer_says_what_a_page_may_do(url: str, path: str) -> None:
    headers = httpx.get(url + path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_what_there_is_not_is_said_in_openais_shape(url: str) -> None:
    for method, path, status in (("GET", "/v1/chat/completions", 405), ("POST", "/v1/embeddings", 404)):
        answer = httpx.request(method, url + path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, "not_found")


@pytest.mark.parametrize(
    "path", ["/../app.py", "/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page/"]
)
def test_only_the_page_is_served(url: str, path: str) -> None:
    assert httpx.get(url + path).status_code == 404


def test_without_a_key_only_this_machine_is_listened_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for host in ("0.0.0.0", "::", "192.168.1.7", "agent.example.com", ""):
        done = CliRunner().invoke(app, ["agent", "serve", "--host", host])
        assert isinstance(done.exception, UsageError)
        assert str(done.exception) == f"Others can reach {host}: set {KEYS}, or listen on 127.0.0.1."
        check_address(host, True, KEYS)
        assert not is_loopback(host)
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"))


def test_keys_are_separated_by_commas() -> None:
    assert keys_of(" a,b ,, c") == ("a", "b", "c")
    assert keys_of(" , ") == ()


def test_a_gate_lets_in_by_order_and_says_when_to_come_again() -> None:
    async def scenario() -> tuple[list[int], int]:
        gate, order, hold = Gate(1, 2), list[int](), asyncio.Event()

        async def work(number: int) -> None:
            async with gate.turn():
                order.append(number)
                await hold.wait()

        tasks = [asyncio.create_task(work(n)) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(FullError) as full:
            await work(9)
        tasks[1].cancel()
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(work(4)))  # the place that was left
        hold.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return order, full.value.seconds

    assert asyncio.run(scenario()) == ([0, 2, 4], 1)
