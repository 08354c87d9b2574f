"""The SDK's client as we use it: no tries again of its own, no proxy that nobody named."""

import os
import ssl
from functools import lru_cache
from typing import Any

import aiohttp
import httpx2
import openai

from toolbench.settings import TeacherSettings

_NO_KEY = "none"  # the SDK insists on a key; local endpoints have none


class _Client(openai.DefaultAioHttpClient):
    """Tells lost and refused connections apart from timeouts, which the SDK's transport over aiohttp does not."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """As the SDK's."""
        try:
            return await super().send(request, **options)
        except httpx2.ConnectTimeout as error:
            cause = error.__cause__
            if isinstance(cause, aiohttp.ClientConnectionError) and not isinstance(cause, TimeoutError):
                refused = isinstance(cause, aiohttp.ClientConnectorError)
                kind = httpx2.ConnectError if refused else httpx2.RemoteProtocolError
                raise kind(str(cause), request=request) from cause
            raise


def connect(url: str, settings: TeacherSettings) -> openai.AsyncOpenAI:
    """A client for the endpoint at `url`, to be closed by the caller."""
    return openai.AsyncOpenAI(
        base_url=url,
        api_key=settings.api_key.get_secret_value() or _NO_KEY,
        timeout=openai.Timeout(settings.timeout, connect=min(10.0, settings.timeout)),
        max_retries=0,
        # Over aiohttp a request takes half the CPU that it takes over httpx. Only the configured address is contacted:
        # no proxy from the environment unless the user names one. No limit on connections, which is 0 to aiohttp:
        # waiting for one would count against the request's own timeout.
        http_client=_Client(
            trust_env=bool(os.environ.get("HTTPS_PROXY")),
            limits=httpx2.Limits(max_connections=0),
            verify=_certificates(),
        ),
    )


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """Read once: every shard has a client of its own."""
    return httpx2.create_ssl_context()
