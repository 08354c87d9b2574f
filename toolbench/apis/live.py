"""Live API calls over HTTP, only to hosts that settings name."""

import asyncio
import json
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

import httpx

from toolbench.apis.values import read_json
from toolbench.records import Api, Response
from toolbench.settings import ApiSettings

_NOT_OURS_TO_SET = frozenset(("host", "connection", "content-length", "transfer-encoding", "upgrade", "expect"))
"""Headers that decide where a request goes and how it is framed: no parameter may set them."""


class Live:
    """Calls APIs where they are. No host is contacted that `ApiSettings.hosts` does not name.

    Redirects are not followed: a redirect could lead anywhere.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._hosts = {host.lower(): rule.connect for host, rule in settings.hosts.items()}
        self._secrets = {host.lower(): values for host, values in settings.secrets.items()}
        self._methods = {
            host.lower(): {method.upper() for method in (*settings.methods, *rule.methods)}
            for host, rule in settings.hosts.items()
        }
        # Waiting for a turn is not the host's slowness: it counts against no timeout.
        self._turns = asyncio.Semaphore(settings.max_concurrency)
        self._client = httpx.AsyncClient(
            timeout=settings.timeout,
            trust_env=False,
            limits=httpx.Limits(max_connections=settings.max_concurrency),
            headers={"Accept": "application/json", "User-Agent": "toolbench"},
            # No cookie is kept: a call's answer must not depend on the calls before it.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(self, api: Api, arguments: dict[str, Any]) -> Response | None:
        """One call; None if the API's host or method is not allowed. Never raises for what a host does.

        Status codes as ToolBench has them, see `toolbench.apis.chain`.
        """
        try:
            parts = urlsplit(api.url)
        except ValueError:
            return None
        host = parts.netloc.lower()
        if host not in self._hosts or api.method.upper() not in self._methods[host]:
            return None
        secrets = {name: value.get_secret_value() for name, value in self._secrets.get(host, {}).items()}
        values: dict[tuple[str, str], Any] = {}
        for parameter in api.parameters:
            value = secrets.get(parameter.name)
            if value is None and not parameter.secret:
                value = arguments.get(parameter.shown_as)
            if value is not None:
                values[parameter.location, parameter.name] = value
        if any(where == "path" and _plain(value) in (".", "..") for (where, _), value in values.items()):
            return Response(error="A path parameter must not be a dot segment: it leads to another API", status=2)
        base = self._hosts[host] or f"{parts.scheme}://{parts.netloc}"
        values = {("query", name): value for name, value in parse_qsl(parts.query, keep_blank_values=True)} | values
        url = _filled(base.rstrip("/") + parts.path, values)
        async with self._turns:
            return await self._send(api.method.upper(), url, values, [s for s in secrets.values() if s])

    async def _send(self, method: str, url: str, values: dict[tuple[str, str], Any], secrets: list[str]) -> Response:
        try:
            # httpx limits each read; this limits the call, however slowly the host drips.
            async with (
                asyncio.timeout(self._settings.timeout),
                self._client.stream(method, url, **_placed(values)) as answer,
            ):
                return await self._read(answer, secrets)
        except (httpx.TimeoutException, TimeoutError):
            return _failed(5, f"No answer within {self._settings.timeout:g} seconds")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            # The exception's own text may carry the URL with a key in it.
            return _failed(12, f"Sending failed: {type(error).__name__}")

    async def _read(self, answer: httpx.Response, secrets: list[str]) -> Response:
        data = bytearray()
        async for chunk in answer.aiter_bytes():
            data += chunk
            if len(data) > self._settings.max_bytes:
                return _failed(11, f"The response is larger than {self._settings.max_bytes} bytes")
        text = _masked(_decoded(data, answer.encoding), secrets)
        try:
            body: Any = read_json(text)
        except ValueError:
            body = None
        if answer.is_success:
            if body is None and text.strip() not in ("", "null"):
                kind = answer.headers.get("content-type", "something else").partition(";")[0]
                return Response(error=f"Expected JSON, got {kind}", response=text[:200], status=11, source="live")
            return Response(response=body if body is not None else "", source="live")
        codes = {401: 7, 403: 8, 404: 6, 429: 9}
        code = codes.get(answer.status_code, 6 if answer.status_code >= 500 or answer.is_redirect else 11)
        detail = json.dumps(body, ensure_ascii=False)[:400] if body is not None else ""
        detail = detail or _masked(answer.reason_phrase, secrets)
        return _failed(code, f"HTTP {answer.status_code}: {detail}")


def _failed(status: int, message: str) -> Response:
    return Response(error=message, status=status, source="live")


def _filled(url: str, values: dict[tuple[str, str], Any]) -> str:
    for (where, name), value in values.items():
        if where == "path":
            url = url.replace("{" + name + "}", quote(_plain(value), safe=""))
    return url


def _placed(values: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """Query, headers, cookies and body as arguments for httpx."""
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    cookies: list[str] = []
    body: dict[str, Any] = {}
    for (where, name), value in values.items():
        if where == "query":
            query[name] = [_plain(v) for v in value] if isinstance(value, list) else _plain(value)
        elif where == "header" and name.lower() not in _NOT_OURS_TO_SET:
            # A line break in a header would start another one.
            headers[name] = _plain(value).replace("\r", " ").replace("\n", " ").strip()
        elif where == "cookie":
            cookies.append(f"{name}={quote(_plain(value))}")
        elif where == "body":
            body[name] = value
    if cookies:
        headers["Cookie"] = "; ".join(cookies)
    # A body parameter without a name is the whole body.
    return {"params": query, "headers": headers, "json": body.get("", body) or None}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _decoded(data: bytearray, encoding: str | None) -> str:
    try:
        text = data.decode(encoding or "utf-8", "replace")
    except (LookupError, UnicodeError):  # a host may name a codec that is none for text
        text = data.decode("utf-8", "replace")
    return text.removeprefix("\ufeff")


def _masked(text: str, secrets: list[str]) -> str:
    """Hosts like to repeat the key they were sent."""
    for secret in secrets:
        for spelled in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(spelled, "(secret)")
    return text
