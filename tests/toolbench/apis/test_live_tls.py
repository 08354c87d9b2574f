"""TLS and HTTP/2, with a real server."""

import asyncio
import datetime
import logging
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_host import PUBLIC, Detour, Names, api, ask, parameter

from toolbench.apis import transport
from toolbench.apis.live import Live
from toolbench.records import Response
from toolbench.settings import ApiSettings

pytest.importorskip("hypercorn", reason="needs hypercorn, which comes with ministack")
pytest.importorskip("cryptography", reason="needs cryptography, which comes with moto[server]")


class Secure:
    """A server of HTTP/1.1 and HTTP/2 over TLS that tells how it was asked, or redirects."""

    def __init__(self, folder: Path) -> None:
        self.server_port = 0
        self.seen: list[dict[str, Any]] = []
        self.location = ""
        self.authority = folder / "certificate.pem"
        _certify(folder)
        self._folder = folder
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.seen.append(scope)
        headers = [(b"content-type", b"application/json")]
        if self.location and scope["path"] == "/moved":
            headers.append((b"location", self.location.encode()))
        await send({"type": "http.response.start", "status": 302 if len(headers) > 1 else 200, "headers": headers})
        await send({"type": "http.response.body", "body": f'"{scope["http_version"]} s3cr3t"'.encode()})

    async def _serve(self) -> None:
        from hypercorn.asyncio import serve
        from hypercorn.config import Config, Sockets

        config = Config()
        config.bind = ["127.0.0.1:0"]
        config.certfile, config.keyfile = str(self.authority), str(self._folder / "key.pem")
        config.accesslog = config.errorlog = None
        sockets: Sockets = config.create_sockets()
        self.server_port = sockets.secure_sockets[0].getsockname()[1]
        config.create_sockets = lambda: sockets  # type: ignore[method-assign]
        sockets.secure_sockets[0].listen()
        self._ready.set()

        async def stopped() -> None:
            while not self._stop.is_set():
                await asyncio.sleep(0.02)

        await serve(self.app, config, shutdown_trigger=stopped, mode="asgi")  # type: ignore[arg-type]

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)


def _certify(folder: Path) -> None:
    """A certificate for api.example.com that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("api.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    running = Secure(tmp_path_factory.mktemp("tls"))
    yield running
    running.stop()


@pytest.fixture
def trusted(server: Secure, monkeypatch: pytest.MonkeyPatch) -> Secure:
    server.seen.clear()
    context = ssl.create_default_context(cafile=str(server.authority))
    monkeypatch.setattr(transport, "certificates", lambda: context)
    return server


NAMES = {"api_example_com": [[PUBLIC]], "other_example_com": [[PUBLIC]]}
SETTINGS: dict[str, Any] = {"hosts": {"*.example.com": {"http": True}}, "retries": 0}


def test_http_2_is_spoken_where_the_host_does_and_one_connection_is_enough(
    trusted: Secure, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    network = Detour(trusted)
    settings = ApiSettings(**SETTINGS, secrets={"*.example.com": {"key": "s3cr3t"}}, rate_per_host=0)

    async def scenario() -> list[Response | None]:
        live = Live(settings, resolve=Names(**NAMES), network=network)
        what = api(parameter("key", "header", secret=True), parameter("n"))
        answers = [await live.call(what, {})]
        answers += await asyncio.gather(*(live.call(what, {"n": n}) for n in range(8)))
        await live.close()
        return answers

    answers = asyncio.run(scenario())
    assert [a.response for a in answers if a] == ["2 (secret)"] * 9
    assert network.connected == [PUBLIC]
    first = dict(trusted.seen[0]["headers"])
    assert first[b"key"] == b"s3cr3t"
    # The server is in this process, and its own HTTP/2 may log what it likes.
    assert "s3cr3t" not in str([r.getMessage() for r in caplog.records if r.thread == threading.get_ident()])


def test_a_certificate_of_another_name_or_authority_is_refused(
    trusted: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = api(url="https://other.example.com/x")
    response = ask(SETTINGS, other, resolve=Names(**NAMES), network=Detour(trusted))
    assert response == Response(error="Sending failed: ConnectError", status=12, source="live")
    monkeypatch.setattr(transport, "certificates", httpx.create_ssl_context)
    response = ask(SETTINGS, api(), resolve=Names(**NAMES), network=Detour(trusted))
    assert response == Response(error="Sending failed: ConnectError", status=12, source="live")
    assert trusted.seen == []


def test_a_redirect_does_not_give_up_tls(trusted: Secure) -> None:
    what = api(url="https://api.example.com/moved")
    for location, status in (("http://api.example.com/x", 6), ("/x", 0), ("https://api.example.com/x", 0)):
        trusted.location = location
        response = ask(SETTINGS, what, resolve=Names(**NAMES), network=Detour(trusted))
        assert response is not None
        assert response.status == status
    assert [scope["path"] for scope in trusted.seen] == ["/moved", "/moved", "/x", "/moved", "/x"]
