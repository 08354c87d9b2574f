import asyncio
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from live_host import Host, api, call, parameter, serving

from toolbench.apis.live import Live
from toolbench.records import Response
from toolbench.settings import ApiSettings


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as server:
        yield server


def test_a_host_name_stands_for_a_base_url(host: Host) -> None:
    response = call(host, api())
    assert response == Response(response={"ok": True}, status=0, source="live")
    assert [(method, path) for method, path, *_ in host.seen] == [("GET", "/v1/find")]
    call(host, api(url="https://API.Example.com/v1/find"), hosts={"Api.example.COM": host.base + "/prefix/"})
    assert host.seen[-1][1] == "/prefix/v1/find"


def test_a_host_named_without_a_base_url_is_called_itself(host: Host) -> None:
    name = f"127.0.0.1:{host.server_port}"
    response = call(host, api(url=f"http://{name}/x"), hosts={name: {"private": True, "http": True}})
    assert response is not None
    assert response.status == 0
    assert host.seen[0][1] == "/x"


@pytest.mark.parametrize("hosts", [{}, {"127.0.0.1": ""}, {"example.com": ""}])
def test_no_other_host_is_contacted(host: Host, hosts: dict[str, str]) -> None:
    port = host.server_port
    for url in (
        f"http://127.0.0.1:{port}/x", f"http://user@127.0.0.1:{port}/x", f"http://example.com@127.0.0.1:{port}/x",
        f"//127.0.0.1:{port}/x", "/x", "", "http://[broken/x", "file:///etc/passwd",
    ):  # fmt: skip
        assert call(host, api(url=url), hosts=hosts) is None
    assert host.seen == []


def test_methods_that_are_not_allowed_are_not_sent(host: Host) -> None:
    assert call(host, api(method="POST")) is None
    assert host.seen == []
    assert call(host, api(method="post"), methods=("post",)) is not None
    assert [method for method, *_ in host.seen] == ["POST"]


def test_parameters_go_where_the_api_has_them(host: Host) -> None:
    what = api(
        parameter("id", "path", "user_id"), parameter("q", shown_as="question"), parameter("n"), parameter("many"),
        parameter("on"), parameter("X-Mode", "header"), parameter("sid", "cookie"), parameter("data", "body"),
        parameter("unset"),
        url="https://api.example.com/users/{id}/x?format=json", method="POST",
    )  # fmt: skip
    call(
        host,
        what,
        {
            "user_id": "a/b ü?#{q}", "question": "x&y=é", "n": 1.5, "many": [1, "z"], "on": True, "X-Mode": "fast",
            "sid": "1; admin=1", "data": {"deep": [None]}, "unset": None, "unknown": "x",
        },
        methods=("POST",),
    )  # fmt: skip
    ((method, path, headers, body),) = host.seen
    assert method == "POST"
    assert path.split("?")[0] == "/users/a%2Fb%20%C3%BC%3F%23%7Bq%7D/x"
    assert path.split("?")[1].split("&") == ["format=json", "q=x%26y%3D%C3%A9", "n=1.5", "many=1", "many=z", "on=true"]
    assert headers["x-mode"] == "fast"
    assert headers["cookie"] == "sid=1%3B%20admin%3D1"
    assert json.loads(body) == {"data": {"deep": [None]}}


def test_a_body_parameter_without_a_name_is_the_whole_body(host: Host) -> None:
    what = api(parameter("", "body", shown_as="body"), method="POST")
    call(host, what, {"body": [1, {"a": 2}]}, methods=("POST",))
    ((_, _, _, body),) = host.seen
    assert json.loads(body) == [1, {"a": 2}]


@pytest.mark.parametrize("value", [".", ".."])
def test_a_path_parameter_cannot_climb(host: Host, value: str) -> None:
    response = call(host, api(parameter("id", "path"), url="https://api.example.com/users/{id}/x"), {"id": value})
    assert response is not None
    assert (response.status, response.source, host.seen) == (2, "none", [])


def test_a_header_value_cannot_start_another_header(host: Host) -> None:
    what = api(parameter("X-Mode", "header"), parameter("Host", "header"), parameter("Transfer-Encoding", "header"))
    arguments = {"X-Mode": "a\r\nX-Evil: 1\nX-Worse: 2", "Host": "internal", "Transfer-Encoding": "chunked"}
    response = call(host, what, arguments)
    assert response is not None
    assert response.status == 0
    headers = host.seen[0][2]
    assert not {"x-evil", "x-worse", "transfer-encoding"} & set(headers)
    assert headers["host"] == f"127.0.0.1:{host.server_port}"


def test_a_header_name_that_is_none_is_no_crash(host: Host) -> None:
    response = call(host, api(parameter("X Bad\r\nEvil: 1", "header")), {"X Bad\r\nEvil: 1": "1"})
    assert response is not None
    assert response.status == 12


SECRET = "s3cr3t/key"


@pytest.mark.parametrize("location", ["header", "query", "path", "cookie"])
@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_secret_is_sent_and_never_shown(host: Host, location: str, status: int) -> None:
    plain = "s3cr3t/key"
    url = "https://api.example.com/x" + ("/{key}" if location == "path" else "")
    what = api(parameter("key", location, secret=True), url=url)
    host.answer = lambda seen: (
        status,
        {"Content-Type": "application/json"},
        json.dumps({"you sent": [seen[1], *seen[2].values()], "again": plain}).encode(),
    )
    response = call(host, what, {"key": "the model's own"}, secrets={"API.example.com": {"key": plain}})
    assert plain in json.dumps(host.seen[0][1:3]).replace("%2F", "/")
    assert "the model's own" not in json.dumps(host.seen[0][1:3])
    assert response is not None
    assert "s3cr3t" not in response.envelope


def test_a_secret_is_not_shown_when_sending_fails(host: Host) -> None:
    gone = f"http://127.0.0.1:{host.server_port}"
    host.shutdown()
    host.server_close()
    what = api(parameter("key", secret=True), parameter("k2", "header", secret=True))
    response = call(
        host, what, hosts={"api.example.com": gone}, secrets={"api.example.com": {"key": SECRET, "k2": SECRET}}
    )
    assert response is not None
    assert response.status == 12
    assert "s3cr3t" not in response.envelope


def test_a_secret_without_a_value_is_left_out(host: Host) -> None:
    call(host, api(parameter("key", secret=True)), {"key": "guessed"})
    assert host.seen[0][1] == "/v1/find"


@pytest.mark.parametrize(
    ("status", "code"), [(400, 11), (401, 7), (403, 8), (404, 6), (429, 9), (500, 6), (503, 6), (418, 11)]
)
def test_statuses_become_codes(host: Host, status: int, code: int) -> None:
    host.says(b'{"message": "why"}', status)
    response = call(host, api())
    assert response == Response(error=f'HTTP {status}: {{"message": "why"}}', status=code, source="live")


def test_a_redirect_to_a_host_that_is_not_named_is_not_followed(host: Host) -> None:
    host.says(b"", 302, Location=f"{host.base}/elsewhere")
    response = call(host, api())
    assert response is not None
    assert response.status == 6
    assert "apis.hosts does not name 127.0.0.1" in response.error
    assert len(host.seen) == 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<html>busy</html>", {"Content-Type": "text/html"}),
        (b"\xff\xfe\x00broken", {}),
        (b'{"a": ', {}),
        (b"[" * 100_000, {}),
        (b"[" * 500 + b"]" * 500, {}),
        (b"x", {"Content-Type": "text/plain; charset=hex"}),
        (b"x", {"Content-Type": "text/plain; charset=idna"}),
    ],
)
def test_what_is_no_json_is_an_error_inside_a_success(host: Host, body: bytes, headers: dict[str, str]) -> None:
    host.answer = lambda _: (200, {"Content-Type": "application/json"} | headers, body)
    response = call(host, api())
    assert response is not None
    assert response.status == 11
    assert "Expected JSON" in response.error
    json.dumps(response.response).encode()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"", ""),
        (b"null", ""),
        (b"0", 0),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": NaN, "b": [1e999, -Infinity, 1.5]}', {"a": None, "b": [None, None, 1.5]}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
    ],
)
def test_what_is_almost_json_is_read(host: Host, body: bytes, value: Any) -> None:
    host.says(body)
    assert call(host, api()) == Response(response=value, source="live")


def test_larger_than_allowed_is_an_error(host: Host) -> None:
    host.says(json.dumps("x" * 2000).encode())
    for limit, code in ((2002, 0), (2001, 11)):
        response = call(host, api(), max_bytes=limit)
        assert response is not None
        assert response.status == code


def test_the_limit_counts_what_was_unpacked(host: Host) -> None:
    packed = gzip.compress(b" " * 5_000_000)
    assert len(packed) < 6000
    host.says(packed, Content_Encoding="gzip")
    response = call(host, api(), max_bytes=10_000)
    assert response is not None
    assert (response.status, response.response) == (11, "")
    host.says(gzip.compress(b'{"a": 1}'), Content_Encoding="gzip")
    assert call(host, api()) == Response(response={"a": 1}, source="live")
    host.says(b"no gzip at all", Content_Encoding="gzip")
    assert getattr(call(host, api()), "status", None) == 12


@pytest.mark.parametrize("delay", [5.0, 0.1])
def test_a_slow_or_dripping_host_is_given_up(host: Host, delay: float) -> None:
    host.says(json.dumps("x" * 100).encode())
    host.delay = delay
    response = call(host, api(), timeout=0.3)
    assert response is not None
    assert (response.status, response.error) == (5, "No answer within 0.3 seconds")


def test_waiting_for_a_turn_is_no_timeout(host: Host) -> None:
    host.says(b'"x"')
    host.delay = 0.05

    async def scenario() -> list[Response | None]:
        live = Live(ApiSettings(hosts={"api.example.com": host.base}, timeout=0.5, max_concurrency=1, rate_per_host=0))
        answers = await asyncio.gather(*(live.call(api(), {}) for _ in range(10)))
        await live.close()
        return answers

    assert [a.status for a in asyncio.run(scenario()) if a] == [0] * 10


def test_no_cookie_is_carried_from_call_to_call(host: Host) -> None:
    host.says(b"{}", Set_Cookie="session=1; Path=/")

    async def scenario() -> None:
        live = Live(ApiSettings(hosts={"api.example.com": host.base}))
        for _ in range(2):
            await live.call(api(), {})
        await live.close()

    asyncio.run(scenario())
    assert ["cookie" in headers for _, _, headers, _ in host.seen] == [False, False]
