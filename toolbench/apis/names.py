"""URLs and host names from untrusted catalogues, in one spelling.

A URL is taken apart once, here; what is checked and what is contacted is put together from these parts, so that no
second reader can understand it in another way.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Generic, TypeVar
from urllib.parse import unquote, urlsplit

import idna

from toolbench.apis.failure import Refused

T = TypeVar("T")

PORTS = {"http": 80, "https": 443}
"""The ports that a host named without one may be called at."""

_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]@]*\]|[^:\[\]@]*)(?::(?P<port>[0-9]{0,5}))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Place:
    """An absolute URL of HTTP, taken apart."""

    scheme: str
    host: str
    """Lower case, Punycode, no dot at the end; an address as `ipaddress` writes it, without brackets."""
    port: int
    path: str
    query: str

    @property
    def authority(self) -> str:
        """Host and, if it is not the scheme's own, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL up to the path."""
        return f"{self.scheme}://{self.authority}"


def place(url: str) -> Place:
    """The parts of `url`. Raises Refused for everything that is not plainly an absolute URL of HTTP."""
    # Some readers drop control characters silently: then two readers see two hosts.
    if _CONTROL.search(url):
        raise _bad("it holds control characters")
    try:
        parts = urlsplit(url.strip(" "))
    except ValueError as error:
        raise _bad(str(error)) from None
    if parts.scheme not in PORTS:
        raise _bad("it does not start with https://")
    if "@" in parts.netloc:
        raise _bad("it holds a user name in front of the host")
    found = _AUTHORITY.fullmatch(parts.netloc)
    if not found:
        raise _bad(f"{_short(parts.netloc)} is no host name")
    port = int(found["port"] or PORTS[parts.scheme])
    if not 0 < port < 65536:
        raise _bad(f"{port} is no port")
    if climbs(parts.path):
        raise _bad("its path holds a dot segment, which leads elsewhere")
    return Place(parts.scheme, hostname(found["host"]), port, parts.path, parts.query)


def hostname(text: str) -> str:
    """A host name or address in its one spelling. Raises Refused for what is neither.

    Addresses in other spellings (decimal, octal, hexadecimal, shortened, with a zone) are refused: what they lead to
    depends on who reads them.
    """
    if text.startswith("["):
        return _ipv6(text[1:-1])
    name = text
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except UnicodeError:
            raise _bad(f"{_short(text)} is no host name") from None
    name = name.lower().removesuffix(".")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise _bad(f"{_short(text)} is an address in an odd spelling") from None
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise _bad(f"{_short(text)} is no host name")
    return name


def is_address(host: str) -> bool:
    """True for a host in the spelling of `hostname` that is an address."""
    return ":" in host or host.replace(".", "").isdigit()


def climbs(path: str) -> bool:
    """True if a server could read a dot segment in `path`, however often it decodes it."""
    for _ in range(4):
        segments = (s.partition(";")[0].strip("\0 \t") for s in path.replace("\\", "/").split("/"))
        if any(s in (".", "..") for s in segments):
            return True
        path = unquote(path)
    return False


class Named(Generic[T]):
    """Values by host: `example.com`, `example.com:8443`, `*.example.com`, `*.example.com:8443`.

    A name without a port stands for the ports 80 and 443. Raises Refused for an entry that is none of these.
    """

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._exact: dict[tuple[str, int | None], T] = {}
        self._below: dict[tuple[str, int | None], T] = {}
        for name, value in entries:
            key = _entry(name.removeprefix("*."))
            (self._below if name.startswith("*.") else self._exact)[key] = value

    def matches(self, host: str, port: int) -> list[T]:
        """The values for a host, the most specific first: exact names, then patterns, longer ones first."""
        ports = (port, None) if port in PORTS.values() else (port,)
        found = [self._exact[host, p] for p in ports if (host, p) in self._exact]
        if not is_address(host):
            labels = host.split(".")
            suffixes = [".".join(labels[n:]) for n in range(1, len(labels))]
            found += [self._below[s, p] for s in suffixes for p in ports if (s, p) in self._below]
        return found


def _entry(name: str) -> tuple[str, int | None]:
    if name.count(":") > 1 and not name.startswith("["):
        return _ipv6(name), None
    found = _AUTHORITY.fullmatch(name)
    if not found:
        raise _bad(f"{_short(name)} is no host name")
    return hostname(found["host"]), int(found["port"]) if found["port"] else None


def _ipv6(text: str) -> str:
    try:
        if "%" in text:
            raise ValueError
        return str(IPv6Address(text))
    except ValueError:
        raise _bad(f"[{_short(text)}] is no address") from None


def _bad(reason: str) -> Refused:
    return Refused("no valid URL", f"This is no URL that may be called: {reason}")


def _short(text: str) -> str:
    return ascii(text[:80])[1:-1]
