"""One way to call an API, whichever source answers.

Status codes as in ToolBench: 0 normal · 1 no such function · 2 bad input · 3 final answer · 4 gave up · 5 timeout ·
6 not found or not working · 7 unauthorised · 8 not subscribed · 9 too many requests · 10 rate limit · 11 the message
is an error · 12 sending failed.
"""

import json
from collections.abc import Sequence
from typing import Any, Protocol

from toolbench.apis import imagined
from toolbench.apis.live import Live
from toolbench.apis.recorded import Recorded, load
from toolbench.apis.server import ToolServer, address
from toolbench.apis.simulated import Simulated
from toolbench.digests import canonical
from toolbench.records import Api, Response
from toolbench.settings import Settings


class Caller(Protocol):
    """A source of answers."""

    async def call(self, api: Api, arguments: dict[str, Any]) -> Response | None:
        """The answer to one call; None if this source has none."""

    async def close(self) -> None:
        """Release what is held open."""


class Chain:
    """Sources asked in turn until one has an answer."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._callers = callers

    async def __aenter__(self) -> "Chain":
        return self

    async def __aexit__(self, *failure: object) -> None:
        for caller in self._callers:
            await caller.close()

    async def call(self, api: Api, arguments: str) -> Response:
        """Call `api` with the arguments string a model wrote. Bad input is answered with status 2, never raised."""
        try:
            values = json.loads(arguments or "{}")
            canonical(values)  # Python reads NaN, Infinity and 1e999; JSON has no such numbers
        except (ValueError, RecursionError):
            return Response(error="The arguments are not valid JSON", status=2)
        if not isinstance(values, dict):
            return Response(error="The arguments must be a JSON object", status=2)
        missing = [p.shown_as for p in api.parameters if p.required and not p.secret and p.shown_as not in values]
        for caller in self._callers:
            # What really happened without it happens again; nobody else is asked in vain.
            if missing and not isinstance(caller, Recorded):
                break
            response = await caller.call(api, values)
            if response is not None:
                return response
        if missing:
            return Response(error=f"Missing required parameter {', '.join(missing)}", status=2)
        return Response(error="No source has an answer to this call", status=12)


def sources(settings: Settings) -> tuple[str, ...]:
    """The effective chain: as configured, else recorded and server where there are such, live, simulated."""
    if settings.apis.chain:
        return settings.apis.chain
    recorded = ("recorded",) if settings.catalogue.responses else ()
    server = ("server",) if settings.apis.server_url else ()
    return (*recorded, *server, "live", "simulated")


def identity(settings: Settings) -> dict[str, Any]:
    """What decides the answers, as far as it is ours to decide: part of a shard's specification.

    How often and how patiently a host is asked is not: that decides whether there is an answer, not which.
    """
    chain = sources(settings)
    remote = "live" in chain or "server" in chain
    parts: dict[str, Any] = {
        "chain": list(chain),
        "seed": settings.seed if "simulated" in chain else 0,
        "recorded": load(settings.catalogue.responses).digest if "recorded" in chain else "",
        "timeout": settings.apis.timeout if remote else 0,
        "max_bytes": settings.apis.max_bytes if remote else 0,
        "hosts": sorted(settings.apis.hosts) if "live" in chain else [],
        "methods": sorted({m for rule in settings.apis.hosts.values() for m in rule.methods} | {*settings.apis.methods})
        if "live" in chain
        else [],
    }
    if "server" in chain:
        parts["server"] = address(settings.apis.server_url)
    if "simulated" in chain and settings.apis.simulator == "teacher":
        parts["simulator"] = imagined.identity(settings, _examples(settings))
    return parts


def open_chain(settings: Settings) -> Chain:
    """The chain of callers that settings ask for.

    Raises SourceError if recorded responses cannot be read, UsageError if the tool server's URL is none.
    """
    return Chain([_caller(name, settings) for name in sources(settings)])


def _caller(name: str, settings: Settings) -> Caller:
    if name == "live":
        return Live(settings.apis)
    if name == "recorded":
        return load(settings.catalogue.responses)
    if name == "server":
        return ToolServer(settings.apis)
    if settings.apis.simulator == "teacher":
        return imagined.Imagined(settings, _examples(settings))
    return Simulated(settings.seed)


def _examples(settings: Settings) -> Recorded | None:
    return load(settings.catalogue.responses) if settings.catalogue.responses else None
