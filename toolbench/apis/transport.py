"""One HTTP request, sent through the guard; one answer, read within limits."""

import logging
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

import httpcore
import httpx

from toolbench.apis.failure import Failed
from toolbench.apis.guard import Guarded, Unresolved
from toolbench.apis.unpacking import Body

_LOST = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.RemoteProtocolError,
)
"""What a connection that fails raises."""

_calling: ContextVar[bool] = ContextVar("calling", default=False)


class _Discreet(logging.Filter):
    """Drops what the HTTP libraries log about our calls: URLs and headers hold credentials."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _calling.get()


for _name in ("httpcore.connection", "httpcore.http11", "httpcore.http2", "hpack.hpack", "hpack.table", "httpx"):
    logging.getLogger(_name).addFilter(_Discreet())


@lru_cache(maxsize=1)
def certificates() -> ssl.SSLContext:
    """The authorities of certifi, or of SSL_CERT_FILE and SSL_CERT_DIR; reading them takes a while."""
    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host answered, its body unpacked."""

    status: int
    reason: str
    headers: httpx.Headers
    body: bytes
    charset: str
    """As the host names it, or utf-8."""


class Transport:
    """A pool of connections that all lead through the guard. HTTP/2 where the host speaks it."""

    def __init__(self, guard: Guarded, connections: int) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            # No proxy and no .netrc: only what settings name is contacted, with what settings give.
            ssl_context=certificates(),
            max_connections=connections,
            keepalive_expiry=5.0,
            http2=True,
            network_backend=guard,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def fetch(self, request: httpx.Request, limit: int) -> Answer:
        """Send a request and read at most `limit` bytes. Raises Failed, and nothing else, for what a host does.

        It sets no time limit of its own: the caller cancels it.
        """
        token = _calling.set(True)
        try:
            return await self._fetch(request, limit)
        except Failed:
            raise
        except Unresolved:
            raise Failed("Sending failed: the host name does not resolve", lost=True) from None
        except Exception as error:  # of which the libraries have many, and a hostile host finds more
            # Its own text may carry the URL with a key in it.
            raise Failed(f"Sending failed: {type(error).__name__}", lost=isinstance(error, _LOST)) from None
        finally:
            _calling.reset(token)

    async def _fetch(self, request: httpx.Request, limit: int) -> Answer:
        sent = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
        )
        received = await self._pool.handle_async_request(sent)
        try:
            answer = httpx.Response(received.status, headers=received.headers)
            body = Body(answer.headers.get("content-encoding", ""), limit)
            async for chunk in received.aiter_stream():
                body.add(chunk)
            reason = received.extensions.get("reason_phrase", b"").decode("ascii", "replace")
            return Answer(
                status=received.status,
                reason=reason or answer.reason_phrase,
                headers=answer.headers,
                body=body.end(),
                charset=answer.encoding or "utf-8",
            )
        finally:
            await received.aclose()
