"""What stands before every route: foreign pages cannot ask, and our own page runs nothing but its own files."""

import ipaddress
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from toolbench.serving.answers import failure

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline, nothing from elsewhere, and no text becomes markup."""
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """The application behind two questions: by which name was it reached, and which page asks.

    A page whose own name leads to a loopback address (DNS rebinding) shows by the header Host; a page that sends a
    form or a request across (CSRF) by Origin. Programs send no Origin.
    """

    def __init__(self, app: "ASGIApp", hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        """`hosts`: names of this server besides localhost and addresses; `origins`: other pages that may ask."""
        self._app = app
        self._hosts = {"localhost", *(host.casefold() for host in hosts)}
        self._origins = {origin.casefold().rstrip("/") for origin in origins}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Starlette's way to call an application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: "Message") -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                # Asked after each time: a page of one version must not meet a script of another.
                fresh = [] if any(name == b"cache-control" for name, _ in given) else [(b"cache-control", b"no-cache")]
                message = {**message, "headers": [*given, *fresh, *_HEADERS]}
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, scope: "Scope") -> "Response | None":
        from starlette.datastructures import Headers

        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._known(host):
            message = "This server does not go by that name: add it to `agent.hosts`, or use localhost."
            return failure(421, message, "invalid_request_error", "unknown_host")
        origin = headers.get("origin")
        if origin is None or self._own(origin, host) or origin.casefold() in self._origins:
            return None
        message = "Pages of another origin may not ask here: add it to `agent.origins`."
        return failure(403, message, "invalid_request_error", "foreign_origin")

    def _known(self, host: str) -> bool:
        """An address in digits is nobody's name, so that no foreign page can have it lead here."""
        try:
            parts = urlsplit(f"//{host}")
            name = (parts.hostname or "").casefold().rstrip(".")
        except ValueError:
            return False
        return parts.netloc == host and "@" not in host and (name in self._hosts or _is_address(name))

    def _own(self, origin: str, host: str) -> bool:
        """A proxy before us may speak https where we do not."""
        return origin.casefold() in (f"http://{host}".casefold(), f"https://{host}".casefold())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
