"""Which host may be called how: the rules of `ApiSettings`, applied to URLs from untrusted catalogues."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from toolbench.apis.failure import Refused
from toolbench.apis.guard import objection
from toolbench.apis.names import Named, Place, is_address, place
from toolbench.errors import UsageError
from toolbench.settings import ApiSettings, HostSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call that is allowed goes."""

    name: str
    """The host as the URL names it, with its port unless that is the default: what limits are counted by."""
    url: str
    """The URL up to the path, as the catalogue has it."""
    place: Place
    """Where to connect, and the path and query to ask for; the path with its `{placeholders}`."""
    prefix: str
    """What `connect` puts in front of the path."""
    rule: HostSettings
    secrets: Mapping[str, str]
    """Values of credential parameters by name."""


class Hosts:
    """The hosts that settings name. Raises UsageError for an entry that names none."""

    def __init__(self, settings: ApiSettings) -> None:
        self._methods = {method.upper() for method in settings.methods}
        self._rules = _named("hosts", settings.hosts)
        self._secrets = _named("secrets", settings.secrets)
        self._bases = {rule.connect: _base(rule.connect) for rule in settings.hosts.values() if rule.connect}
        self._inside = {
            (base.host, base.port)
            for rule in settings.hosts.values()
            if (base := self._bases.get(rule.connect))
            and (rule.private or is_address(base.host) or base.host == "localhost")
        }

    def target(self, url: str, method: str) -> Target:
        """Where a call goes. Raises Refused if it is not allowed, as far as that can be told without the network."""
        asked = place(url)
        rule = self._rule(asked)
        if not rule:
            hint = f'add "{asked.authority}" to apis.hosts to allow it'
            raise Refused("unknown host", f"apis.hosts does not name {asked.authority}", hint)
        base = self._bases.get(rule.connect) or asked
        if base.scheme == "http" and not (rule.http or rule.connect):
            hint = f'set http = true for "{asked.authority}" in apis.hosts to allow it'
            raise Refused("http only", f"{asked.authority} is called without TLS", hint)
        if not rule.connect and not rule.private and is_address(asked.host) and objection(asked.host):
            reason = f"{asked.host} is not public ({objection(asked.host)})"
            raise Refused("not public", reason, private_hint(asked))
        self._check_method(method.upper(), rule, asked)
        prefix = base.path.rstrip("/") if rule.connect else ""
        return Target(
            name=asked.authority,
            url=asked.url,
            place=Place(base.scheme, base.host, base.port, asked.path, asked.query),
            prefix=prefix,
            rule=rule,
            secrets=self.secrets(asked),
        )

    def private(self, host: str, port: int) -> bool:
        """True if this host may lead to addresses that are not public."""
        if (host, port) in self._inside:
            return True
        rules = self._rules.matches(host, port)
        return bool(rules) and rules[0].private

    def secrets(self, asked: Place) -> dict[str, str]:
        """What settings give for a host; the more specific entry wins, name by name. Empty values count as none."""
        merged: dict[str, str] = {}
        for values in reversed(self._secrets.matches(asked.host, asked.port)):
            merged |= {name: value.get_secret_value() for name, value in values.items()}
        return {name: value for name, value in merged.items() if value}

    def methods(self, asked: Place) -> list[str]:
        """The methods that may be sent to a host, sorted."""
        rule = self._rule(asked)
        return sorted(self._methods | {m.upper() for m in rule.methods}) if rule else []

    def _rule(self, asked: Place) -> HostSettings | None:
        return next(iter(self._rules.matches(asked.host, asked.port)), None)

    def _check_method(self, method: str, rule: HostSettings, asked: Place) -> None:
        if method not in self.methods(asked):
            hint = f'add it to methods of "{asked.authority}" in apis.hosts to allow it'
            raise Refused("method", f"{method} is not allowed", hint)


def private_hint(asked: Place) -> str:
    """How to allow a host that is not public."""
    return f'set private = true for "{asked.authority}" in apis.hosts to allow it'


def _named(section: str, entries: Mapping[str, T]) -> Named[T]:
    try:
        return Named(entries.items())
    except Refused as error:
        raise UsageError(f"Setting apis.{section} has an entry that is no host: {error}.") from None


def _base(connect: str) -> Place:
    try:
        return place(connect)
    except Refused as error:
        raise UsageError(f"Setting apis.hosts connects to {connect!r}: {error}.") from None
