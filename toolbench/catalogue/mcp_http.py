"""The HTTP client that MCP servers are read with: no proxies, no compression, and no more bytes than a document has."""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from toolbench.catalogue.decode import MAX_BYTES

if TYPE_CHECKING:
    import httpx2


def client(headers: Mapping[str, str], timeout: float) -> "httpx2.AsyncClient":
    """A client for one server. Answers that are compressed or too long raise httpx2.ReadError."""
    import httpx2

    class Body(httpx2.AsyncByteStream):
        def __init__(self, stream: httpx2.AsyncByteStream) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for piece in self._stream:
                size += len(piece)
                if size > MAX_BYTES:
                    raise httpx2.ReadError(f"its answer has more than {MAX_BYTES:,} bytes")
                yield piece

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Transport(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await super().handle_async_request(request)
            # Nobody asked for compression: bytes that swell when they are read could fill the memory.
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                await response.aclose()
                raise httpx2.ReadError("its answer is compressed, which was not asked for")
            if isinstance(response.stream, httpx2.AsyncByteStream):
                response.stream = Body(response.stream)
            return response

    return httpx2.AsyncClient(
        transport=Transport(),
        headers={"accept-encoding": "identity", **headers},
        timeout=timeout,
        trust_env=False,
    )
