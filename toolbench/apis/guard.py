"""Which addresses may be connected to. A name is resolved once, and what was checked is what is connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpcore

from toolbench.apis.failure import Failed
from toolbench.apis.names import is_address

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host name. Raises Unresolved if it has none."""

_UNICAST = IPv6Network("2000::/3")
"""All that is given out of IPv6 (RFC 4291, section 2.4)."""
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator (RFC 6052)."""
_RELAY = IPv4Address("192.88.99.0"), IPv4Address("192.88.99.255")
"""Relays of 6to4, given up (RFC 7526)."""
_FIRST_TRY = 1.0
"""Seconds an address gets before the next one of the same name is tried."""


class Unresolved(httpcore.ConnectError):
    """The name has no address."""


def objection(address: str) -> str:
    """Why an address is not public, in one word; empty if it is. Addresses within addresses count as well."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = _inner(found)
        if inner:
            return next((o for o in map(_kind, inner) if o), "")
    return _kind(found)


def _inner(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for: mapped, translated, 6to4, Teredo."""
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _TRANSLATED:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour:
        return [address.sixtofour]
    return list(address.teredo or ())


def _kind(address: IPv4Address | IPv6Address) -> str:
    for kind in ("unspecified", "loopback", "link_local", "multicast"):
        if getattr(address, f"is_{kind}"):
            return kind.replace("_", "-")
    if isinstance(address, IPv6Address):
        return "" if address.is_global and address in _UNICAST else "private"
    if not address.is_global or address.is_reserved or _RELAY[0] <= address <= _RELAY[1]:
        return "private" if address.is_private and not address.is_reserved else "reserved"
    return ""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of `host`, as the system's resolver gives them."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved("The host name does not resolve") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guarded(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, and to others where `private(host, port)` says so.

    One address that is not public among several refuses them all: a name like that is up to no good. The TLS handshake
    and the Host header still use the name.
    """

    def __init__(
        self,
        private: Callable[[str, int], bool],
        resolver: Resolve = resolve,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._private = private
        self._resolve = resolver
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the host's addresses. Raises Failed if one of them is not public."""
        addresses = [host] if is_address(host) else await self._resolve(host, port)
        if not addresses:
            raise Unresolved("The host name does not resolve")
        if not self._private(host, port) and any(objection(address) for address in addresses):
            # The address itself stays here: answers are published.
            raise Failed(f"Not sent: {host} leads to an address that is not public")
        for address in addresses[:-1]:
            try:
                async with asyncio.timeout(_FIRST_TRY):
                    return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (TimeoutError, httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise Failed("Not sent: no API is behind a Unix socket")

    async def sleep(self, seconds: float) -> None:
        """As the network's own."""
        await self._network.sleep(seconds)
