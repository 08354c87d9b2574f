"""Chat completions from any OpenAI-compatible endpoint, or from several."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any

import httpx2
import openai

from toolbench.digests import digest
from toolbench.errors import TeacherError
from toolbench.records import Reply
from toolbench.settings import TeacherSettings
from toolbench.teacher import reading, routes
from toolbench.teacher.connection import connect
from toolbench.teacher.counts import Counts
from toolbench.teacher.failures import CutOffError, Failure, classify, explain, one_line, refused
from toolbench.teacher.finishing import finished, stop_here
from toolbench.teacher.ledger import Amount, estimate
from toolbench.teacher.line import End, LeftAloneError, Line, Turn
from toolbench.teacher.shared import PROCESS, Shared
from toolbench.teacher.touch import PAUSE, Touch
from toolbench.teacher.waiting import arrivals

FIRST_PAUSE = 0.5
"""Seconds before the first try again at most; each further one may take twice as long, up to the longest."""
LONGEST_PAUSE = 8.0


class Teacher:
    """A client for one event loop: `async with Teacher(settings) as teacher:`.

    Limits and budgets are `shared` with all other clients of the process: see `Line`, `Ledger` and `Purse`. Tries again
    are ours and not the SDK's, so that every failure is seen there.
    """

    def __init__(
        self,
        settings: TeacherSettings,
        *,
        shared: Shared = PROCESS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.counts = Counts()
        """What went wrong so far."""
        self._weights = routes.weights(settings)
        self.url = next(iter(self._weights))
        """The first endpoint's address."""
        self._clock, self._sleep, self._chance = shared.clock, sleep, chance
        self._lines = {url: shared.line(url, settings) for url in self._weights}
        self._ledger = shared.budgets(tuple(self._weights), settings)
        self._joined = False
        first = connect(self.url, settings)
        self._clients = {url: first.with_options(base_url=url) for url in self._weights}
        self._touch = Touch(self._completion, settings.model, settings.timeout, sleep)

    async def __aenter__(self) -> "Teacher":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._joined:
            self._joined = False
            for line in self._lines.values():
                line.join(-self.settings.max_concurrency)
        if self._ledger:
            await self._ledger.close()
        await self._touch.close()
        await self._clients[self.url].close()  # they have one transport

    def request(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        tools: Sequence[Mapping[str, Any]] | None = None,
        schema: tuple[str, Mapping[str, Any]] | None = None,
        temperature: float | None = None,
    ) -> dict[str, Any]:
        """The request's body, which also identifies it in the journal: `schema` is a name and a JSON Schema."""
        body: dict[str, Any] = {
            "model": self.settings.model,
            "messages": list(messages),
            "seed": seed,
            "temperature": self.settings.temperature if temperature is None else temperature,
            "max_completion_tokens": self.settings.max_output_tokens,
        }
        if tools:
            body["tools"] = list(tools)
            body["tool_choice"] = "auto"
        if schema:
            name, shape = schema
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": shape, "strict": True},
            }
        return body

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """The reply to `request(…)`.

        What the endpoint says about this one request (too long, refused, filtered) comes back as `Reply.error`, and so
        does that it failed at it after all retries and once more, when others were known to be answered. Raises
        TeacherError when the endpoint cannot be used at all or is gone, TransientError when it failed after all
        retries, BudgetError when the budget does not cover the request.
        """
        stop_here()
        if not self._joined:
            self._joined = True
            for line in self._lines.values():
                line.join(self.settings.max_concurrency)
        number, need = next(arrivals), self._need(body)
        if self._ledger is None:
            return await self._reply(body, number, need)
        await self._ledger.reserve(number, need)
        used = Amount()
        try:
            reply = await self._reply(body, number, need)
            used = Amount(1, reply.input_tokens + reply.output_tokens, reply.cost)
        finally:
            self._ledger.settle(need, used)
        return reply

    async def check(self, patience: float = 0.0) -> None:
        """Raises TeacherError if no endpoint is reachable or one refuses the key. Costs no tokens.

        None that listens for so many seconds is not reachable; where one answered this process before, for as many as
        it takes to be gone: it may just be started again.
        """
        if any(line.answered for line in self._lines.values()):
            patience = max(patience, self.settings.gone_seconds)
        deadline = self._clock() + patience
        while trouble := await self._unreachable():
            if self._clock() >= deadline:
                raise trouble
            await self._sleep(PAUSE)

    async def _unreachable(self) -> TeacherError | None:
        """Why no endpoint can be reached, if none can. Raises TeacherError if one answers and cannot be used."""
        unreachable: TeacherError | None = None
        alive = False
        for url, client in self._clients.items():
            try:
                await client.with_options(max_retries=1, timeout=15.0).models.list()
                self._lines[url].alive()
                alive = True
            except (openai.NotFoundError, openai.BadRequestError):
                alive = True  # not every endpoint lists its models
            except openai.OpenAIError as error:
                told = explain(error, url, self.settings, 1)
                if not refused(error) and (not isinstance(error, openai.APIConnectionError) or len(self._clients) == 1):
                    raise told from None
                unreachable = TeacherError(str(told))
        return None if alive else unreachable

    async def _reply(self, body: Mapping[str, Any], number: int, need: Amount) -> Reply:
        """Tries until there is a reply, or no further try makes sense."""
        settings, preferred = self.settings, self._preferred(body)
        known = {line.url: line.gone for line in preferred}
        deadline, started, tries = float("inf"), False, 0
        there_before: set[str] = set()
        while True:
            line = self._next(preferred, tries, known)
            try:
                turn = await line.turn(number, need.tokens, partial(_elsewhere, preferred, line), known[line.url])
            except LeftAloneError:
                continue
            if not started:
                started, deadline = True, self._clock() + settings.retry_seconds
            got = await self._try(line, turn, body, need, known[line.url])
            if isinstance(got, Reply):
                return got
            if got.about_the_request:
                return Reply(error=f"the endpoint rejected the request: {one_line(got.error, settings)}")
            pause = self._pause(got, tries, len(preferred) > 1)
            tired, over = tries >= settings.max_retries, not got.again or self._clock() + pause > deadline
            last = tired or over
            if got.down and (last or not line.silence_left()) and line.gone == known[line.url]:
                there = await self._touch.answers(line)
                # What failed may just be back: a request is to blame if it fails where others are known to be answered.
                blamed = got.reached and (over or line.url in there_before)
                if there and last and blamed:
                    text = one_line(got.error, settings)
                    return Reply(error=f"the endpoint answers others and failed at this one {tries + 1} times: {text}")
                # Nobody listens, but not for long enough to be gone: however few ask, they outlive a restart.
                away = settings.max_retries and refused(got.error) and line.silence_left()
                last = over or (tired and not there and not away)
                (there_before.add if there and tired else there_before.discard)(line.url)
            if last:
                raise explain(got.error, line.url, settings, tries) from None
            # While the endpoint is down no request is to blame, and it ends when the endpoint is found to be gone.
            tries += not turn.probe
            self.counts.retries += 1
            await self._sleep(pause)

    async def _try(self, line: Line, turn: Turn, body: Mapping[str, Any], need: Amount, gone: int) -> Reply | Failure:
        """One request, whose end the line is told whatever happens."""
        end, used, headers, hold = End.DROPPED, None, httpx2.Headers(), None
        try:
            async with asyncio.timeout(self.settings.timeout) as limit:
                with self._touch.watching(line, limit, gone):
                    response = await finished(self._post(line.url, body), limit)
            headers = response.headers
            completion = _json(response, line.url)
            end, used = End.ANSWERED, sum(reading.usage(completion)) or None
            prices = self.settings.prices.get(self.settings.model, (0.0, 0.0))
            return reading.read(completion, self.settings.model, prices, self.counts)
        except (openai.OpenAIError, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                error = openai.APITimeoutError(httpx2.Request("POST", line.url))
            failure = classify(error)
            end, headers, hold = failure.end, httpx2.Headers(failure.headers), failure.pause
            used = None if isinstance(error, openai.APITimeoutError) else 0
            self._count(failure)
            return failure
        except TeacherError:
            end = End.ANSWERED
            raise
        finally:
            if used is None and end in (End.DROPPED, End.CROWDED) and self._ledger:
                self._ledger.charge(need)  # nobody will say what it cost
            line.over(turn, end, used, headers, hold)

    async def _post(self, url: str, body: Mapping[str, Any]) -> httpx2.Response:
        # The response as it is: its headers count, and building the SDK's models takes longer than reading them.
        return await self._clients[url].post("/chat/completions", body=body, cast_to=httpx2.Response)

    async def _completion(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return _json(await self._post(url, body), url)

    def _preferred(self, body: Mapping[str, Any]) -> list[Line]:
        if len(self._lines) == 1:
            return list(self._lines.values())
        return [self._lines[url] for url in routes.order(self._weights, digest(body))]

    def _next(self, preferred: Sequence[Line], tries: int, known: Mapping[str, int]) -> Line:
        """The next of those not left alone; if all are, the next of all. Raises TeacherError if all are gone."""
        there = [line for line in preferred if line.gone == known[line.url]]
        if not there:
            gone = " and ".join(f"{line.url} is gone ({line.trouble})" for line in preferred)
            raise TeacherError(f"The teacher at {gone}: start it or set OPENAI_BASE_URL, then run again.")
        healthy = [line for line in there if not line.left_alone] or there
        return healthy[tries % len(healthy)]

    def _need(self, body: Mapping[str, Any]) -> Amount:
        """What the request may cost at most, if anybody wants to know."""
        if self._ledger is None and not any(line.meters_tokens for line in self._lines.values()):
            return Amount(1)
        return estimate(len(json.dumps(body, ensure_ascii=False)), self.settings)

    def _pause(self, failure: Failure, tries: int, elsewhere: bool) -> float:
        """Seconds before the next try: exponential with full jitter, unless the endpoint says how many."""
        if failure.pause is not None and not elsewhere:
            return failure.pause * (1 + self._chance() / 10)
        return self._chance() * min(FIRST_PAUSE * 2.0**tries, LONGEST_PAUSE)

    def _count(self, failure: Failure) -> None:
        if failure.end is End.LIMITED:
            self.counts.rate_limited += 1
        elif isinstance(failure.error, openai.APITimeoutError):
            self.counts.timeouts += 1
        elif failure.again:
            self.counts.failures += 1


def _elsewhere(lines: Sequence[Line], line: Line) -> bool:
    return any(not other.left_alone for other in lines if other is not line)


def _json(response: httpx2.Response, url: str) -> dict[str, Any]:
    try:
        value = json.loads(response.content)
    except (ValueError, RecursionError):
        value = None
        if "json" in response.headers.get("content-type", ""):
            raise CutOffError from None
    if not isinstance(value, dict):
        raise TeacherError(
            f"The teacher at {url} does not answer with chat completions: check OPENAI_BASE_URL, "
            "which mostly ends in /v1."
        )
    return value
