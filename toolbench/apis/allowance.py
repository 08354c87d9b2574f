"""What settings would allow, told without calling anything."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpcore

from toolbench.apis import guard
from toolbench.apis.failure import Refused
from toolbench.apis.hosts import Hosts, private_hint
from toolbench.apis.names import is_address, place
from toolbench.records import Api
from toolbench.settings import ApiSettings

NO_HOST = "(no valid URL)"
"""Where APIs are counted whose URL names no host."""

_RAPIDAPI_KEY = "X-RapidAPI-Key"


@dataclass(slots=True)
class HostAllowance:
    """What settings allow of one host's APIs."""

    host: str
    apis: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """APIs that may not be called, by reason."""
    needed: set[str] = field(default_factory=set)
    """Methods of its APIs."""
    methods: list[str] = field(default_factory=list)
    """Methods that may be sent."""
    credentials: set[str] = field(default_factory=set)
    """Names of the credential parameters of its APIs."""
    given: set[str] = field(default_factory=set)
    """Those of them that settings have a value for."""

    @property
    def allowed(self) -> bool:
        """All of its APIs may be called."""
        return not self.refused


@dataclass(frozen=True, slots=True)
class UrlAllowance:
    """What would happen to a call of one URL."""

    url: str
    reason: str = ""
    """Why it is refused; empty if it is allowed."""
    addresses: tuple[tuple[str, str], ...] = ()
    """Each address the name leads to, and why it is not public (empty if it is)."""

    @property
    def allowed(self) -> bool:
        """It would be called."""
        return not self.reason


def by_host(apis: Iterable[Api], settings: ApiSettings) -> list[HostAllowance]:
    """What settings allow, host by host; the host with the most APIs first. Nothing is resolved."""
    hosts = Hosts(settings)
    found: dict[str, HostAllowance] = {}
    for api in apis:
        name, given = NO_HOST, dict[str, str]()
        method = api.method.upper()
        try:
            asked = place(api.url)
            name, given = asked.authority, hosts.secrets(asked)
            entry = found.setdefault(name, HostAllowance(name, methods=hosts.methods(asked)))
            hosts.target(api.url, method)
        except Refused as refused:
            entry = found.setdefault(name, HostAllowance(name))
            entry.refused[refused.code] += 1
        entry.apis += 1
        entry.needed.add(method)
        _note_credentials(entry, api, given)
    return sorted(found.values(), key=lambda entry: (-entry.apis, entry.host))


def _note_credentials(entry: HostAllowance, api: Api, given: dict[str, str]) -> None:
    names = {parameter.name for parameter in api.parameters if parameter.secret}
    if entry.host.endswith(".rapidapi.com"):
        names.add(_RAPIDAPI_KEY)
    known = {name.lower() for name in given}
    entry.credentials |= names
    entry.given |= {name for name in names if name.lower() in known}


async def by_url(url: str, method: str, settings: ApiSettings, resolve: guard.Resolve = guard.resolve) -> UrlAllowance:
    """What would happen to a call of `url`: the name is resolved, nothing is sent."""
    hosts = Hosts(settings)
    try:
        target = hosts.target(url, method)
    except Refused as refused:
        return UrlAllowance(url, str(refused))
    host, port = target.place.host, target.place.port
    try:
        found = [host] if is_address(host) else await resolve(host, port)
    except httpcore.ConnectError:
        found = []
    if not found:
        return UrlAllowance(url, f"{host} does not resolve: check the name, or set connect for it in apis.hosts")
    addresses = tuple((address, guard.objection(address)) for address in found)
    inside = [f"{address} ({why})" for address, why in addresses if why]
    reason = ""
    if inside and not hosts.private(host, port):
        reason = f"{host} leads to {', '.join(inside)}, which is not public: {private_hint(place(url))}"
    return UrlAllowance(url, reason, addresses)
