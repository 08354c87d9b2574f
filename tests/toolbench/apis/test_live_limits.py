"""Hosts that send too much, too slowly, or their caller's own credentials back."""

import base64
import gzip
import json
import logging
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_host import Host, api, ask, call, parameter, serving

from toolbench.apis.failure import Failed
from toolbench.apis.masking import Mask
from toolbench.apis.unpacking import Body
from toolbench.records import Response


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as server:
        yield server


@contextmanager
def raw(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A host that takes one request after the other and then talks as it likes; gives its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    talk(connection)
                except OSError:
                    pass  # the caller had enough

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def answered(response: Response | None) -> Response:
    assert response is not None
    return response


def gzipped(data: bytes) -> bytes:
    """With no time inside: the bytes are part of a test's name, and every worker has to give it the same one."""
    return gzip.compress(data, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def bomb(pack: str, size: int) -> bytes:
    """`size` bytes of blanks, packed piece by piece."""
    packer = zlib.compressobj(9, zlib.DEFLATED, {"gzip": 31, "zlib": 15, "raw": -15}[pack])
    piece = b" " * 1_000_000
    return b"".join(packer.compress(piece) for _ in range(size // len(piece))) + packer.flush()


@pytest.mark.parametrize(("pack", "name"), [("gzip", "gzip"), ("zlib", "deflate"), ("raw", "deflate")])
def test_a_bomb_is_never_unpacked(host: Host, pack: str, name: str) -> None:
    packed = bomb(pack, 200_000_000)
    assert len(packed) < 250_000
    host.says(packed, Content_Encoding=name)
    tracemalloc.start()
    response = answered(call(host, api(), max_bytes=200_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (response.status, response.error) == (11, "The response is larger than 200000 bytes")
    assert peak < 8_000_000


@pytest.mark.parametrize(
    ("packed", "name"),
    [
        (gzipped(b'{"a": 1}'), "GZIP"), (gzipped(b'{"a": 1}'), "x-gzip"), (b'{"a": 1}', "identity"),
        (zlib.compress(b'{"a": 1}'), "deflate"), (raw_deflate(b'{"a": 1}'), "deflate"),
        (gzipped(b'{"a": ') + gzipped(b"1}"), "gzip"), (gzipped(b'{"a": 1}') + b"\0\0", "gzip"),
    ],
)  # fmt: skip
def test_what_was_asked_for_is_unpacked(host: Host, packed: bytes, name: str) -> None:
    host.says(packed, Content_Encoding=name)
    assert call(host, api()) == Response(response={"a": 1}, source="live")
    assert host.seen[0][2]["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("packed", "name", "status"),
    [
        (b"x", "br", 11), (b"x", "gzip, gzip", 11), (b"x", "zstd", 11), (b"not packed", "gzip", 12),
        (gzipped(b'{"a": 1}')[:-9], "gzip", 12), (gzipped(b'{"a": 1}')[:1], "gzip", 12),
    ],
)  # fmt: skip
def test_what_cannot_be_unpacked_is_an_error(host: Host, packed: bytes, name: str, status: int) -> None:
    host.says(packed, Content_Encoding=name)
    assert answered(call(host, api())).status == status


@given(
    st.binary(max_size=300),
    st.lists(st.integers(1, 40), max_size=40),
    st.sampled_from(["", "gzip", "deflate"]),
    st.integers(0, 400),
)
def test_a_body_is_read_whole_or_refused(data: bytes, cuts: list[int], name: str, limit: int) -> None:
    packed = {"": data, "gzip": gzip.compress(data), "deflate": zlib.compress(data)}[name]
    body = Body(name, limit)

    def whole(rest: bytes) -> bytes:
        for cut in cuts:
            body.add(rest[:cut])
            rest = rest[cut:]
        body.add(rest)
        return body.end()

    if len(data) <= limit:
        assert whole(packed) == data
    else:
        with pytest.raises(Failed, match=f"larger than {limit} bytes"):
            whole(packed)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "identity"]))
def test_any_bytes_are_unpacked_or_refused(data: bytes, name: str) -> None:
    body = Body(name, 1000)
    try:
        body.add(data)
        unpacked = body.end()
    except Failed:
        return
    assert len(unpacked) <= 1000


def test_headers_without_end_are_an_error() -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")

    with raw(talk) as base:
        response = answered(ask({"hosts": {"api.example.com": base}, "retries": 0}, api()))
    assert (response.status, response.error) == (12, "Sending failed: RemoteProtocolError")


def test_early_answers_without_end_are_a_timeout() -> None:
    def talk(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n")

    with raw(talk) as base:
        response = answered(ask({"hosts": {"api.example.com": base}, "retries": 0, "timeout": 0.3}, api()))
    assert response.status == 5


NO_HTTP = [
    b"", b"HTTP/1.1 2", b"SSH-2.0-OpenSSH\r\n", b"\x00" * 50, b"HTTP/1.1 999999 x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_HTTP)
def test_what_is_no_http_is_an_error(text: bytes) -> None:
    with raw(lambda connection: connection.sendall(text)) as base:
        response = answered(ask({"hosts": {"api.example.com": base}, "retries": 0}, api()))
    assert response.status == 12
    assert response.error.startswith("Sending failed: ")


SECRETS = {"plain": 's3c/r3t"käy&', "Authorization": "Basic " + base64.b64encode(b"user:pa55w/rd").decode()}


def spelled(secret: str) -> list[str]:
    """A credential as hosts repeat it."""
    return [
        secret,
        json.dumps(secret),
        json.dumps(secret).replace("/", "\\/"),
        base64.b64encode(secret.encode()).decode(),
    ]


@pytest.mark.parametrize("status", [200, 302, 400, 500])
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_no_spelling_of_a_credential_comes_back(host: Host, status: int, kind: str) -> None:
    what = api(parameter("plain", secret=True), parameter("authorization", "header", secret=True))
    told = [*spelled(SECRETS["plain"]), *spelled(SECRETS["Authorization"]), "user:pa55w/rd", "pa55w/rd"]

    def repeat(seen: Any) -> Any:
        assert seen[2]["authorization"] == SECRETS["Authorization"]
        if kind == "text/html":
            return status, {"Content-Type": f"{kind} {told[0].encode().hex()}"}, " ".join(told).encode()
        deep = {"told": told, told[0]: {"path": seen[1], "escaped": json.dumps(told)}}
        return status, {"Content-Type": kind}, json.dumps(deep).encode()

    host.answer = repeat
    response = answered(call(host, what, secrets={"api.example.com": SECRETS}, retries=0))
    for leaked in ("s3c/", "s3c%2", "s3c\\", "pa55w", base64.b64encode(b"user:pa55w/rd").decode()[:12]):
        assert leaked not in response.envelope


def test_a_credential_that_is_a_number_does_not_come_back() -> None:
    mask = Mask(["12345678"])
    assert mask.value({"key": 12345678, "more": [1234567, True, None]}) == {
        "key": "(secret)", "more": [1234567, True, None],
    }  # fmt: skip


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_what_is_masked_holds_the_credential_no_more(secret: str, other: str) -> None:
    shown = Mask([secret]).text(other + secret + other + json.dumps(secret) + repr(secret))
    for part in shown.split("(secret)"):
        assert secret not in part


@pytest.mark.parametrize("location", ["query", "header", "path", "cookie", "body", "form"])
def test_nothing_is_logged_about_a_call(
    host: Host, location: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "hpack", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    host.answer = lambda seen: (200, {"X-Echo": "s3cr3t"}, b'"s3cr3t"')
    url = "https://api.example.com/x" + ("/{key}" if location == "path" else "")
    what = api(parameter("key", location, secret=True), url=url, method="POST")
    settings = {"secrets": {"api.example.com": {"key": "s3cr3t"}}, "methods": ("POST",)}
    assert answered(call(host, what, **settings)).response == "(secret)"
    assert "s3cr3t" in str(host.seen[0])
    assert "s3cr3t" not in caplog.text + "".join(capfd.readouterr())


def test_other_users_of_the_libraries_still_log(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    import httpx

    caplog.set_level(logging.DEBUG)
    call(host, api())
    assert "httpcore" not in {record.name.partition(".")[0] for record in caplog.records}
    httpx.get(host.base, trust_env=False)
    assert {"httpx", "httpcore.http11"} <= {record.name for record in caplog.records}
