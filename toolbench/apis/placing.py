"""The arguments of a call, put where the API has them: path, query, headers, cookies, body."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import httpx

from toolbench.apis.failure import Failed
from toolbench.apis.hosts import Target
from toolbench.apis.names import climbs
from toolbench.apis.unpacking import ACCEPTED
from toolbench.records import Api

_NOT_OURS_TO_SET = frozenset(
    (
        # where a request goes and how it is framed
        "host", "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
        "trailer", "trailers", "transfer-encoding", "content-length", "upgrade", "expect", "http2-settings",
        # what is checked before it is sent, or read when it comes back
        "x-http-method-override", "x-http-method", "x-method-override", "accept-encoding", "range",
    )
)  # fmt: skip
"""Headers no parameter may set."""

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_PLACEHOLDER = re.compile(r"\{([^{}/]+)\}")
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})")
_RAPIDAPI = ".rapidapi.com"
_RAPIDAPI_KEY, _RAPIDAPI_HOST = "x-rapidapi-key", "x-rapidapi-host"


class BadArguments(Exception):
    """Arguments that cannot be sent; the message is for the model that gave them."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One call, ready to be sent. `path` is quoted."""

    path: str
    query: str
    headers: dict[str, bytes] = field(default_factory=dict)
    """By lower-case name."""
    body: dict[str, Any] = field(default_factory=dict)
    """`content`, `data` or `files`, as httpx takes them."""

    def request(self, method: str, target: Target) -> httpx.Request:
        """The request to where `target` leads. Raises Failed if there is no such URL."""
        headers = {"accept": b"application/json", "user-agent": b"toolbench", **self.headers}
        headers["accept-encoding"] = ACCEPTED.encode()
        url = target.place.url + target.prefix + (self.path or "/") + (f"?{self.query}" if self.query else "")
        try:
            built = httpx.URL(url)
            if (built.scheme, built.raw_host.decode(), built.port or target.place.port) != (
                target.place.scheme, target.place.host, target.place.port,
            ):  # fmt: skip
                raise httpx.InvalidURL("two readings")
            named = {name.encode(): value for name, value in headers.items()}
            return httpx.Request(method, built, headers=named, **self.body)
        except (httpx.InvalidURL, ValueError):
            raise Failed("Sending failed: the URL cannot be written") from None


def placed(api: Api, target: Target, arguments: Mapping[str, Any]) -> Placed:
    """A call of `api`: credentials from settings, everything else from `arguments` (by `Parameter.shown_as`).

    Raises BadArguments for values that cannot stand where they belong, Failed for an API that cannot be called.
    """
    values = _values(api, target.secrets, arguments)
    body = _body(values)
    headers = _headers(values, target)
    return Placed(
        path=_path(target.place.path, values["path"]),
        query=_query(target.place.query, values),
        headers={**body.pop("headers", {}), **headers},
        body=body,
    )


def moved(api: Api, target: Target, arguments: Mapping[str, Any], home: bool) -> Placed:
    """The same call after a redirect to `target`, whose path and query stand as they are.

    `home`: it is the host that was called first, which may have everything again. Another host gets its own credentials
    and no more.
    """
    values = _values(api, target.secrets, arguments if home else {})
    return Placed(
        path=_quoted(target.place.path),
        query=_quoted(target.place.query),
        headers=_headers(values, target),
    )


def _values(api: Api, secrets: Mapping[str, str], arguments: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Values by location and name on the wire."""
    of_headers = {name.lower(): value for name, value in secrets.items()}
    values: dict[str, dict[str, Any]] = {
        where: {} for where in ("path", "query", "header", "cookie", "body", "form", "multipart")
    }
    for parameter in api.parameters:
        value: Any = secrets.get(parameter.name)
        if parameter.location == "header":
            value = of_headers.get(parameter.name.lower())
        if value is None and not parameter.secret:
            value = arguments.get(parameter.shown_as)
        if value is not None and parameter.location in values:
            values[parameter.location][parameter.name] = value
    return values


def _path(path: str, values: Mapping[str, Any]) -> str:
    for name, value in values.items():
        plain = _plain(value)
        if climbs(plain):
            raise BadArguments("A path parameter must not be or hold a dot segment: it leads to another API")
        path = path.replace("{" + name + "}", quote(plain, safe=""))
    left = _PLACEHOLDER.search(path)
    if left:
        raise BadArguments(f"Missing path parameter {left[1][:80]}")
    path = _quoted(path)
    if climbs(path):
        raise BadArguments("The path parameters together make a dot segment: it leads to another API")
    return path


def _query(constant: str, values: Mapping[str, Mapping[str, Any]]) -> str:
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(constant, keep_blank_values=True):
        filled = _PLACEHOLDER.sub(lambda m: _plain(values["path"].get(m[1], m[0])), value)
        if not _PLACEHOLDER.fullmatch(filled):
            query.setdefault(name, []).append(filled)
    for name, value in values["query"].items():
        query[name] = [_plain(item) for item in value] if isinstance(value, list) else [_plain(value)]
    return urlencode(query, doseq=True, quote_via=quote, errors="replace")


def _headers(values: Mapping[str, Mapping[str, Any]], target: Target) -> dict[str, bytes]:
    headers: dict[str, bytes] = {}
    for name, value in values["header"].items():
        if not _TOKEN.fullmatch(name):
            raise Failed("Sending failed: the API has a header parameter whose name is none for a header")
        if name.lower() not in _NOT_OURS_TO_SET:
            headers[name.lower()] = _line(_plain(value))
    cookies = [f"{quote(_plain(name), safe='')}={quote(_plain(value))}" for name, value in values["cookie"].items()]
    if cookies:
        headers["cookie"] = "; ".join(cookies).encode()
    return headers | _rapidapi(target)


def _rapidapi(target: Target) -> dict[str, bytes]:
    """RapidAPI wants its two headers with every call, and no API lists them."""
    key = next((value for name, value in target.secrets.items() if name.lower() == _RAPIDAPI_KEY), None)
    if key is None or not target.name.endswith(_RAPIDAPI):
        return {}
    return {_RAPIDAPI_KEY: _line(key), _RAPIDAPI_HOST: target.name.encode()}


def _body(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    fields = {**values["form"], **values["multipart"]}
    if fields:
        pairs = [
            (_plain(name), _plain(item))
            for name, value in fields.items()
            for item in (value if isinstance(value, list) else [value])
        ]
        if values["multipart"]:
            return {"files": [(name, (None, text.encode())) for name, text in pairs]}
        form = urlencode(pairs).encode()
        return {"content": form, "headers": {"content-type": b"application/x-www-form-urlencoded"}}
    body = values["body"]
    if not body:
        return {}
    # A body parameter without a name is the whole body.
    text = json.dumps(body.get("", body), ensure_ascii=False, separators=(",", ":"))
    return {"content": text.encode("utf-8", "replace"), "headers": {"content-type": b"application/json"}}


def _plain(value: Any) -> str:
    """A value as text; halves of surrogate pairs, which JSON can spell and nobody can send, become question marks."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def _quoted(text: str) -> str:
    """What is quoted already stays as it is."""
    return quote(_STRAY.sub("%25", text), safe="/?%:@!$&'()*+,;=~", errors="replace")


def _line(text: str) -> bytes:
    """A line break in a header would start another one."""
    return _CONTROL.sub(" ", text).strip().encode()
