"""A shard's way to the Batch API: budget, tries again, and replies read as the usual client reads them."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import openai

from toolbench.digests import digest
from toolbench.errors import TransientError
from toolbench.records import Reply
from toolbench.settings import TeacherSettings
from toolbench.teacher import reading, routes
from toolbench.teacher.batches import lines
from toolbench.teacher.batches.gatherer import Gatherer
from toolbench.teacher.batches.joining import join, leave
from toolbench.teacher.batches.lines import Result
from toolbench.teacher.batches.submitted import Shelf
from toolbench.teacher.batches.tickets import Ticket
from toolbench.teacher.counts import Counts
from toolbench.teacher.failures import classify, explain, one_line
from toolbench.teacher.ledger import Amount, estimate
from toolbench.teacher.shared import PROCESS, Shared
from toolbench.teacher.waiting import arrivals

_ERRORS: dict[int, type[openai.APIStatusError]] = {
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
}
"""The SDK's classes that `explain` knows apart."""


class BatchTeacher:
    """For one shard and event loop: `await teacher.enter()`, any number of `send` at once, `await teacher.leave(…)`.

    A request is known by the record it is asked for and by its body: what an earlier process sent for the same record
    and did not live to write down is found again, and is no second time reserved in the budget.
    """

    def __init__(self, settings: TeacherSettings, shelf: Shelf, *, shared: Shared = PROCESS) -> None:
        self.settings = settings
        self.counts = Counts()
        """What went wrong so far."""
        weights = routes.weights(settings)
        self.url = next(iter(weights))
        """The endpoint's address: the first one where there are several."""
        self._ledger = shared.budgets(tuple(weights), settings)
        self._shelf = shelf
        self._gatherer: Gatherer | None = None
        self._got: list[Ticket] = []
        """What was handed over, the last of it a moment ago."""

    async def enter(self) -> None:
        """Raises LakeError if what earlier processes sent cannot be read."""
        self._gatherer = await asyncio.to_thread(join, self.url, self.settings, self._shelf)

    async def leave(self, *, saved: bool) -> None:
        """`saved`: every reply that was handed over is in a journal. Raises LakeError."""
        gatherer, self._gatherer = self._gatherer, None
        if gatherer is None:
            return
        if self._ledger:
            await self._ledger.close()
        try:
            await asyncio.to_thread(gatherer.settle if saved else gatherer.release, self._got)
        finally:
            await asyncio.to_thread(leave, gatherer)

    async def send(self, record: str, body: Mapping[str, Any]) -> Reply:
        """The reply to `Teacher.request(…)` on behalf of `record`, once its batch has ended.

        What is said about this one request (refused, filtered, too long) comes back as `Reply.error`. Raises
        TeacherError, TransientError, BudgetError, LakeError as `Teacher.send` does.
        """
        name, data = digest([record, body], 32), lines.encoded(body)
        if (length := lines.size(name, data)) > self.settings.batch_bytes:
            return Reply(error=f"the request has {length} bytes, more than a batch may (teacher.batch_bytes)")
        number, tries = next(arrivals), 0
        got = await self._earlier(name)
        while True:
            ticket, result = got or await self._ask(name, data, number)
            self._got.append(ticket)  # nobody can interrupt us between here and the journal
            if (reply := self._read(result, tries)) is not None:
                return reply
            tries, got = tries + 1, None
            self.counts.retries += 1

    async def _earlier(self, name: str) -> tuple[Ticket, Result] | None:
        """What an earlier batch says of the request, if it was in one."""
        while ticket := self._joined.claim(name):
            if (result := await self._wait(ticket)) is not None:
                return ticket, result
        return None

    async def _ask(self, name: str, data: bytes, number: int) -> tuple[Ticket, Result]:
        """In a new batch, within the budget."""
        need = estimate(len(data), self.settings, self.settings.batch_discount)
        if self._ledger:
            await self._ledger.reserve(number, need)
        used, ticket = Amount(), self._joined.ask(name, data)
        try:
            result = await self._wait(ticket) or Result(code="no_batch", message="the endpoint knows no such batch")
            used = self._cost(result)
            return ticket, result
        except BaseException:
            used = need if ticket.batch else used  # nobody will say what it cost
            raise
        finally:
            if self._ledger:
                self._ledger.settle(need, used)

    async def _wait(self, ticket: Ticket) -> Result | None:
        gatherer = self._joined
        try:
            return await asyncio.wrap_future(ticket.future)
        except BaseException:
            gatherer.release([ticket])
            raise

    def _read(self, result: Result, tries: int) -> Reply | None:
        """The reply in a result; None: ask again. Raises TeacherError, TransientError."""
        if 200 <= result.status < 300:
            return reading.read(result.body or {}, self.settings.model, self._prices, self.counts)
        self.counts.failures += result.status != 429
        self.counts.rate_limited += result.status == 429
        if not result.status:
            if tries < self.settings.max_retries:
                return None
            raise TransientError(
                f"The teacher at {self.url} left a request of a batch unanswered after {tries} retries "
                f"({result.code}: {' '.join(result.message.split())[:200]}): run again."
            )
        error = _error(self.url, result)
        failure = classify(error)
        if failure.about_the_request:
            return Reply(error=f"the endpoint rejected the request: {one_line(error, self.settings)}")
        if failure.again and tries < self.settings.max_retries:
            return None
        raise explain(error, self.url, self.settings, tries)

    def _cost(self, result: Result) -> Amount:
        tokens_in, tokens_out = reading.usage(result.body or {})
        price_in, price_out = self._prices
        answered = 200 <= result.status < 300
        return Amount(int(answered), tokens_in + tokens_out, (tokens_in * price_in + tokens_out * price_out) / 1e6)

    @property
    def _prices(self) -> tuple[float, float]:
        price_in, price_out = self.settings.prices.get(self.settings.model, (0.0, 0.0))
        left = 1 - self.settings.batch_discount
        return price_in * left, price_out * left

    @property
    def _joined(self) -> Gatherer:
        if self._gatherer is None:
            raise RuntimeError("the batch teacher was not entered")
        return self._gatherer


def _error(url: str, result: Result) -> openai.APIStatusError:
    """The SDK's exception for an answer of this status."""
    body = result.body or {}
    inner = body.get("error") if isinstance(body.get("error"), dict) else body
    message = f"Error code: {result.status} - {json.dumps(inner, ensure_ascii=False)}"
    response = httpx2.Response(result.status, request=httpx2.Request("POST", url))
    return _ERRORS.get(result.status, openai.APIStatusError)(message, response=response, body=inner)
