"""Live API calls over HTTP, only to hosts that settings name."""

import asyncio
import itertools
import json
import time
from typing import Any
from urllib.parse import urljoin

import httpcore
import httpx

from toolbench.apis import guard
from toolbench.apis.failure import Failed, Refused
from toolbench.apis.hosts import Hosts, Target
from toolbench.apis.masking import Mask
from toolbench.apis.placing import BadArguments, moved, placed
from toolbench.apis.politeness import Budget, Clock, Gates, Sleep, pause, retry_after
from toolbench.apis.transport import Answer, Transport
from toolbench.apis.values import read_json
from toolbench.records import Api, Response
from toolbench.settings import ApiSettings

_SAFE = ("GET", "HEAD")
"""Methods that may be sent twice, and to where a redirect leads."""
_BUSY = (502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_CODES = {401: 7, 403: 8, 404: 6, 429: 9}


class Live:
    """Calls APIs where they are, for one event loop. No host is contacted that `ApiSettings.hosts` does not name, and
    none at an address that is not public, unless settings say so.

    Raises UsageError for settings that name no host.
    """

    def __init__(
        self,
        settings: ApiSettings,
        *,
        resolve: guard.Resolve = guard.resolve,
        network: httpcore.AsyncNetworkBackend | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._hosts = Hosts(settings)
        self._gates = Gates(settings, clock, sleep)
        self._sleep = sleep
        self._transport = Transport(guard.Guarded(self._hosts.private, resolve, network), settings.max_concurrency)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def call(self, api: Api, arguments: dict[str, Any]) -> Response | None:
        """One call; None if the API's host or method is not allowed. Never raises for what a host does.

        Status codes as ToolBench has them, see `toolbench.apis.chain`.
        """
        try:
            target = self._hosts.target(api.url, api.method)
        except Refused:
            return None
        mask = Mask(target.secrets.values())
        try:
            request = placed(api, target, arguments).request(api.method.upper(), target)
            async with Budget(self._settings.timeout) as budget:
                return self._response(await self._follow(api, arguments, target, request, budget, mask), mask)
        except BadArguments as error:
            return Response(error=str(error), status=2)
        except RecursionError:
            return Response(error="The arguments are nested too deeply", status=2)
        except TimeoutError:
            return _failed(5, f"No answer within {self._settings.timeout:g} seconds")
        except Failed as failure:
            return _failed(failure.status, mask.text(str(failure)))

    async def _follow(
        self, api: Api, arguments: dict[str, Any], target: Target, request: httpx.Request, budget: Budget, mask: Mask
    ) -> Answer:
        """The answer at the end of the redirects."""
        first = target
        for followed in itertools.count():
            answer = await self._try(api, target, request, budget)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location or request.method not in _SAFE:
                return answer
            if followed == self._settings.redirects:
                raise Failed(f"HTTP {answer.status}: redirected more than {followed} times", status=6)
            try:
                new = self._redirected(target, request, location, mask)
                request = moved(api, new, arguments, home=new.name == first.name).request(request.method, new)
            except Refused as refused:
                raise Failed(
                    f"HTTP {answer.status}: the redirect is not followed: {refused.reason}", status=6
                ) from None
            mask.add(new.secrets.values())
            target = new
        raise AssertionError("itertools.count ends")

    def _redirected(self, target: Target, request: httpx.Request, location: str, mask: Mask) -> Target:
        """Where a redirect leads, checked as if it were asked for in the first place. Raises Refused."""
        path = request.url.raw_path.decode("ascii").removeprefix(target.prefix)
        try:
            url = urljoin(target.url + path, location)
        except ValueError:
            raise Refused("no valid URL", "it leads to no valid URL") from None
        new = self._hosts.target(url, request.method)
        if (target.place.scheme, new.place.scheme) == ("https", "http"):
            raise Refused("http only", f"{new.name} would be called without TLS")
        if new.name != target.name and mask.text(location) != location:
            raise Refused("credential", f"it carries a credential to {new.name}")
        return new

    async def _try(self, api: Api, target: Target, request: httpx.Request, budget: Budget) -> Answer:
        """The answer of one host, after tries again where that is safe."""
        gate = self._gates.of(target.name, target.rule)
        last = self._settings.retries + 1 if request.method in _SAFE else 1
        for tries in itertools.count(1):
            try:
                async with gate.turn(budget, api.id):
                    answer = await self._transport.fetch(request, self._settings.max_bytes)
            except Failed as failure:
                wait = pause(tries)
                if not failure.lost or tries == last or wait >= budget.left:
                    raise
            else:
                wait = _wait(answer, tries)
                if wait < 0 or tries == last or wait >= budget.left:
                    return answer
            await self._sleep(wait)
        raise AssertionError("itertools.count ends")

    def _response(self, answer: Answer, mask: Mask) -> Response:
        plain = _decoded(answer.body, answer.charset)
        text = mask.text(plain)
        try:
            body = mask.value(read_json(plain))
        except ValueError:
            body = None
        if 200 <= answer.status < 300:
            if body is None and plain.strip() not in ("", "null"):
                kind = mask.text(answer.headers.get("content-type", "something else").partition(";")[0])[:80]
                return Response(error=f"Expected JSON, got {kind}", response=text[:200], status=11, source="live")
            return Response(response=body if body is not None else "", source="live")
        code = _CODES.get(answer.status, 6 if answer.status >= 500 or answer.status < 400 else 11)
        detail = json.dumps(body, ensure_ascii=False)[:400] if body is not None else mask.text(answer.reason)[:400]
        return _failed(code, f"HTTP {answer.status}: {detail}")


def _failed(status: int, message: str) -> Response:
    return Response(error=message, status=status, source="live")


def _wait(answer: Answer, tries: int) -> float:
    """Seconds after which the same request may be answered better; below 0: never."""
    asked = retry_after(answer.headers.get("retry-after"))
    again = answer.status in _BUSY or (answer.status == 429 and asked is not None)
    return max(asked or 0.0, pause(tries)) if again else -1.0


def _decoded(data: bytes, charset: str) -> str:
    try:
        text = data.decode(charset, "replace")
    except (LookupError, UnicodeError):  # a host may name a codec that is none for text
        text = data.decode("utf-8", "replace")
    return text.removeprefix("\ufeff")
