"""Calls of APIs for a verdict: recorded ones where there are some, else live ones, one at a time to a host."""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import asdict
from types import TracebackType
from typing import Any

from toolbench.apis import Chain, open_chain, sources
from toolbench.apis.failure import Refused
from toolbench.apis.hosts import Hosts
from toolbench.apis.politeness import Pace
from toolbench.apis.recorded import Recorded, load
from toolbench.digests import canonical
from toolbench.lake import Journal
from toolbench.records import Api, Response
from toolbench.screening.arguments import arguments_of
from toolbench.screening.rules import Observed
from toolbench.settings import Settings

_ENOUGH = (9, 10, 12)
"""Status codes after which an API is not called again in the same night: too many requests, sending failed."""


def real_sources(settings: Settings) -> tuple[str, ...]:
    """The sources whose answers say something about an API: all but the simulated one."""
    return tuple(source for source in sources(settings) if source != "simulated")


def without_simulation(settings: Settings) -> Settings:
    """Settings whose chain has only real sources, of which there must be one.

    No host and no API is left alone after failures: which of them work is to be found out.
    """
    return settings.with_(apis={"chain": real_sources(settings), "breaker_failures": sys.maxsize})


class Asker:
    """`async with Asker(journal, settings) as asker:` calls APIs; a call that the journal has is not made again.

    A host is called one call at a time and not faster than settings allow: then the caller has nothing to wait for, and
    the time of a call is the host's own.
    """

    def __init__(self, journal: Journal, settings: Settings) -> None:
        self._journal = journal
        self._settings = settings
        chain = real_sources(settings)
        self._recorded: Recorded | None = load(settings.catalogue.responses) if "recorded" in chain else None
        self._recorded_first = chain[:1] == ("recorded",)
        self._anywhere = "server" in chain
        self._hosts = Hosts(settings.apis) if "live" in chain else None
        self._chain: Chain | None = open_chain(without_simulation(settings)) if chain else None
        self._turns: dict[str, _Turn] = {}
        self._overall = asyncio.Semaphore(settings.apis.max_concurrency)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Asker":
        if self._chain:
            await self._stack.enter_async_context(self._chain)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def observe(self, api: Api) -> list[Observed]:
        """Up to `screening.calls` calls of an API; none if it cannot be called for want of a documented value.

        What was recorded counts as calls. Where another source comes first in the chain, it counts only for an API that
        nobody else can be asked about.
        """
        recorded = self._examples(api)
        if self.refusal(api) or (recorded and self._recorded_first):
            return recorded
        asked = []
        for arguments in arguments_of(api, self._settings.screening.calls):
            asked.append(await self._ask(api, arguments))
            if asked[-1].answer.status in _ENOUGH:
                break  # more of the same would find out nothing
        return asked or recorded

    def refusal(self, api: Api) -> str:
        """Why nobody can be asked about an API; empty if somebody can."""
        if self._anywhere:
            return ""
        if self._hosts is None:
            return "the chain has neither a live source nor a tool server"
        try:
            self._hosts.target(api.url, api.method)
        except Refused as refused:
            return str(refused)
        return ""

    def _examples(self, api: Api) -> list[Observed]:
        """Recorded calls, spread evenly over all there are."""
        found = self._recorded.examples(api) if self._recorded else []
        wanted = min(self._settings.screening.calls, len(found))
        chosen = [found[number * len(found) // wanted] for number in range(wanted)]
        return [Observed(arguments=arguments, answer=answer) for arguments, answer in chosen]

    async def _ask(self, api: Api, arguments: dict[str, Any]) -> Observed:
        text = canonical(arguments)

        async def ask() -> Any:
            return await self._timed(api, text)

        answer = await self._journal.answer(api.id, "api", [api.id, api.digest, text], ask)
        seconds = answer.pop("seconds")
        response = Response(**answer)
        return Observed(arguments=arguments, answer=response, seconds=seconds if response.source == "live" else None)

    async def _timed(self, api: Api, arguments: str) -> dict[str, Any]:
        if self._chain is None:
            raise RuntimeError("there is no source to ask")
        async with self._turn(api), self._overall:
            started = time.monotonic()
            response = await self._chain.call(api, arguments)
            return {**asdict(response), "seconds": round(time.monotonic() - started, 3)}

    def _turn(self, api: Api) -> "_Turn":
        name, rate = "", 0.0  # a tool server is asked as often as it is asked by others
        if self._hosts is not None:
            try:
                target = self._hosts.target(api.url, api.method)
            except Refused:
                return _Turn(Pace(0))
            rate = self._settings.apis.rate_per_host if target.rule.rate is None else target.rule.rate
            name = target.name
        return self._turns.setdefault(name, _Turn(Pace(rate))) if name else _Turn(Pace(0))


class _Turn:
    """One call at a time, at a host's pace."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        try:
            await self._pace.wait()
        except BaseException:
            self._lock.release()
            raise

    async def __aexit__(self, *failure: object) -> None:
        self._lock.release()
