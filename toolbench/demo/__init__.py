"""The demo hub: real, working REST APIs on loopback, so that the factory runs without network, key or account.

Importing this package costs nothing; the APIs and their libraries (the `demo` extra) are loaded on first use.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toolbench.demo.misbehaving import MISBEHAVING
from toolbench.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from fastapi import FastAPI

__all__ = ["HOST", "MISBEHAVING", "create_app", "documents", "serve"]

HOST = "hub.toolbench.test"
"""The host in the hub's OpenAPI documents. A logical name under a reserved top-level domain (RFC 6761), so that a
catalogue read from the hub is the same whatever port the hub listens on."""


def create_app(delays: bool = True, misbehave: bool = True) -> "FastAPI":
    """The hub: every tool under `/<tool>/`, its document at `/openapi/<tool>.json`, `/index.json`, `/health`, `/stats`.

    `delays=False` makes the slow API answer at once; `misbehave=False` makes every API behave. Raises UsageError if
    the `demo` extra is not installed.
    """
    app: FastAPI = _hub().create_app(delays, misbehave)
    return app


def documents() -> list[dict[str, Any]]:
    """The OpenAPI 3.1 document of every tool, sorted by tool. Raises UsageError without the `demo` extra."""
    found: list[dict[str, Any]] = _hub().documents()
    return found


def serve(
    host: str = "127.0.0.1", port: int = 0, ready: Callable[[int], None] | None = None, delays: bool = True
) -> None:
    """Serve the hub until interrupted; port 0 takes a free one, and `ready` is called with the port once it listens.

    Raises UsageError without the `demo` extra, or if the port cannot be bound.
    """
    _hub().serve(host, port, ready, delays)


def _hub() -> "ModuleType":
    try:
        from toolbench.demo import hub
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The demo hub needs the Python package {error.name!r}: install it with pip install 'toolbench[demo]'."
        ) from error
    return hub
