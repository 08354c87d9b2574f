"""Fetching catalogue documents: the address the user named and its own host, nothing else."""

from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx

from toolbench.catalogue.decode import MAX_BYTES
from toolbench.catalogue.drafts import Broken

_TIMEOUT = 30.0
_REDIRECTS = 5
_MCP_STATUSES = frozenset([400, 404, 405, 406, 415])


class NoDocument(Broken):
    """The address answered, but not as one that a document is fetched from."""

    def __init__(self, why: str, *, maybe_mcp: bool) -> None:
        super().__init__("unreachable", "", why)
        self.maybe_mcp = maybe_mcp
        """An MCP server answers a plain GET like this."""


def fetch(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The body of a GET. Redirects are followed on the same host only; proxies and .netrc of the machine are ignored.

    Raises Broken with what went wrong; NoDocument where the address answered.
    """
    try:
        with httpx.Client(timeout=_TIMEOUT, trust_env=False, follow_redirects=False, headers=headers) as client:
            for _ in range(_REDIRECTS + 1):
                with client.stream("GET", url) as response:
                    if response.is_redirect:
                        url = on_same_host(url, response.headers.get("location", ""))
                        continue
                    _check(response)
                    return _body(response)
    except httpx.TimeoutException:
        raise Broken("unreachable", "", f"did not answer within {_TIMEOUT:.0f} seconds") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise Broken("unreachable", "", f"cannot be reached: {error or type(error).__name__}") from None
    raise Broken("unreachable", "", f"redirects more than {_REDIRECTS} times")


def on_same_host(url: str, target: object) -> str:
    """`target` resolved against `url`. Raises Broken if it lies on another host, port or scheme."""
    try:
        resolved = urljoin(url, target) if isinstance(target, str) and target else ""
        same = resolved and _place(resolved) == _place(url)
    except ValueError:
        same = False
    if not same:
        raise Broken("other_host", "", "leads away from the catalogue's own host, where nothing is fetched")
    return resolved


def without_credentials(url: str) -> str:
    """The URL without user, password, query and fragment: what may be logged and stored."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return "(no URL)"


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if status != 200:
        raise NoDocument(f"answered with HTTP status {status}", maybe_mcp=status in _MCP_STATUSES)
    if response.headers.get("content-type", "").lower().startswith("text/event-stream"):
        raise NoDocument("answered with a stream of events and no document", maybe_mcp=True)


def _body(response: httpx.Response) -> bytes:
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) > MAX_BYTES:
            raise Broken("too_large", "", f"has more than {MAX_BYTES:,} bytes")
    return bytes(content)


def _place(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
