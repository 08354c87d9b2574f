"""Calls through a tool server that speaks ToolBench's and StableToolBench's POST protocol.

The body is `{category, tool_name, api_name, tool_input, strip, toolbench_key}`, the answer `{"error", "response"}`.
"""

import asyncio
import base64
import json
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp

from toolbench.apis.masking import Mask
from toolbench.apis.values import read_json
from toolbench.apis.wording import plain, server_names, status_of
from toolbench.errors import UsageError
from toolbench.records import Api, Response
from toolbench.settings import ApiSettings

_HTTP_CODES = {401: 7, 408: 5, 429: 9, 504: 5}
"""Status codes of HTTP failures that mean more than that sending failed."""


class ToolServer:
    """One tool server: the user named its address, so any is allowed. Redirects are not followed.

    Raises UsageError if `server_url` is no http or https URL.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._url = settings.server_url
        self._key = settings.server_key.get_secret_value()
        address(self._url)
        parts = urlsplit(self._url)
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        basic = f"Basic {base64.b64encode(pair.encode()).decode()}" if parts.password else ""
        self._mask = Mask([self._key, parts.password or "", unquote(parts.password or ""), basic])
        # Waiting for a turn is not the server's slowness: it counts against no timeout.
        self._turns = asyncio.Semaphore(settings.max_concurrency)
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._client:
            await self._client.close()

    async def call(self, api: Api, arguments: dict[str, Any]) -> Response | None:
        """The server's answer to one call. Never raises for what the server does.

        Status codes as ToolBench has them, see `toolbench.apis.chain`.
        """
        category, tool, name = server_names(api)
        names = {p.shown_as: plain(p.shown_as) for p in api.parameters}
        body = {
            "category": category,
            "tool_name": tool,
            "api_name": name,
            "tool_input": json.dumps({names.get(k, k): v for k, v in arguments.items()}),
            "strip": "",
            "toolbench_key": self._key,
        }
        async with self._turns:
            return await self._send(body)

    async def _send(self, body: dict[str, Any]) -> Response:
        try:
            async with self._session().post(self._url, json=body, allow_redirects=False) as answer:
                data = bytearray()
                async for chunk in answer.content.iter_any():
                    data += chunk
                    if len(data) > self._settings.max_bytes:
                        return _failed(11, f"The response is larger than {self._settings.max_bytes} bytes")
        except TimeoutError:
            return _failed(5, f"Timeout error: no answer within {self._settings.timeout:g} seconds")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The exception's own text may carry the URL with a password in it.
            return _failed(12, f"Sending failed: {type(error).__name__}")
        return self._answer(answer.status, data.decode("utf-8", "replace"))

    def _session(self) -> aiohttp.ClientSession:
        """Made on the event loop it belongs to. aiohttp and not httpx, which takes four times the CPU for a call."""
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
                headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "toolbench"},
            )
        return self._client

    def _answer(self, code: int, text: str) -> Response:
        if code != 200:
            detail = self._mask.text(text)[:200]
            return _failed(_HTTP_CODES.get(code, 12), f"The tool server answered HTTP {code}: {detail}")
        try:
            envelope = self._mask.value(read_json(text))
        except ValueError:
            return _failed(12, "The tool server's answer is not JSON")
        if not isinstance(envelope, dict) or "response" not in envelope:
            return _failed(12, "The tool server's answer has not the form {error, response}")
        error = envelope.get("error") or ""
        error = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
        return Response(error=error, response=envelope["response"], status=status_of(error), source="server")


def address(url: str) -> str:
    """A server's URL without credentials, query and fragment: what names it. Raises UsageError if it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(
            "Setting apis.server_url is no http or https URL; give one such as http://127.0.0.1:8080/virtual."
        )
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"


def _failed(status: int, message: str) -> Response:
    return Response(error=message, status=status, source="server")
