"""An application on a port, and who may reach it without a key."""

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from toolbench.errors import UsageError

if TYPE_CHECKING:
    from starlette.applications import Starlette


def listen(app: "Starlette", host: str, port: int, ready: Callable[[int], None] | None = None) -> None:
    """Serve until interrupted. `port` 0 takes a free one; `ready` is told the port once connections are taken.

    Raises UsageError if the address cannot be bound or uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise UsageError("Serving needs uvicorn: install toolbench[demo].") from error
    try:
        listener = socket.create_server((host, port), backlog=2048, family=_family(host))
        # asyncio sets this only on sockets that know their protocol; without it an answer comes 40 ms late.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, OverflowError) as error:
        raise UsageError(f"Cannot listen on {host}:{port} ({error}): choose another --host or --port.") from error
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    with listener, suppress(KeyboardInterrupt):
        if ready is not None:
            ready(listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])


def check_address(host: str, keyed: bool, how: str) -> None:
    """Raises UsageError if others than this machine could ask, and no key is wanted of them.

    `how`: the variable that sets one.
    """
    if not keyed and not is_loopback(host):
        raise UsageError(f"Others can reach {host}: set {how}, or listen on 127.0.0.1.")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`: a loopback address, or `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
