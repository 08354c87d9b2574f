"""What our HTTP servers share: keys, bodies, errors, chunks."""

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request

from toolbench.serving.answers import bad_request, body, event, unauthorised
from toolbench.serving.requests import BadRequestError


def request(*messages: dict[str, Any], authorization: bytes | None = None) -> Request:
    """A request whose body comes in these messages."""
    coming = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(coming)

    headers = [] if authorization is None else [(b"authorization", authorization)]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


def part(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def test_a_body_is_read_up_to_its_limit() -> None:
    assert asyncio.run(body(request(part(b"ab", True), part(b"c")), 3)) == b"abc"
    with pytest.raises(BadRequestError, match="more than 3 bytes") as raised:
        asyncio.run(body(request(part(b"ab", True), part(b"cd", True)), 3))
    assert raised.value.status == 413


def test_a_client_that_leaves_while_it_sends_is_no_failure() -> None:
    with pytest.raises(BadRequestError, match="before it was complete"):
        asyncio.run(body(request(part(b"ab", True), {"type": "http.disconnect"}), 3))


@pytest.mark.parametrize(
    ("keys", "given", "allowed"),
    [
        ((), None, True),
        ((), b"Bearer anything", True),
        (("a", "b"), b"Bearer b", True),
        (("a",), b"a", True),
        (("\u043a",), "Bearer \u043a".encode(), True),
        (("a", "b"), None, False),
        (("a", "b"), b"", False),
        (("a", "b"), b"Bearer ", False),
        (("a", "b"), b"Bearer a,b", False),
        (("a",), b"Basic a", False),
        (("a",), b"Bearer \xff", False),
    ],
    ids=["none", "none wanted", "second", "bare", "not ASCII", "missing", "empty", "no key", "list", "basic", "bytes"],
)
def test_a_key_is_asked_for_where_there_is_one(keys: tuple[str, ...], given: bytes | None, allowed: bool) -> None:
    refusal = unauthorised(request(authorization=given), keys)
    assert (refusal is None) == allowed
    assert refusal is None or refusal.status_code == 401


def test_errors_are_in_openais_shape() -> None:
    answer = bad_request(BadRequestError("Too hot.", "temperature", "hot", 422))
    assert answer.status_code == 422
    assert json.loads(bytes(answer.body)) == {
        "error": {"message": "Too hot.", "type": "invalid_request_error", "param": "temperature", "code": "hot"}
    }


def test_an_event_is_one_line_whatever_is_in_it() -> None:
    text = event({"a": "x\n\ndata: [DONE]\r\n\ud83d\u2028"})
    assert text.endswith("\n\n")
    assert len(text.strip().splitlines()) == 1
    assert json.loads(text.removeprefix("data: ")) == {"a": "x\n\ndata: [DONE]\r\n\ud83d\u2028"}
