"""The Batch API of one endpoint: a file is sent and a batch made of it once, looked at, and read."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import openai
from openai.types import Batch

from toolbench.errors import TeacherError
from toolbench.settings import TeacherSettings
from toolbench.teacher.batches.lines import ENDPOINT, Result, results
from toolbench.teacher.batches.submitted import Submitted
from toolbench.teacher.connection import connect
from toolbench.teacher.failures import classify, explain, one_line

T = TypeVar("T")

METADATA = "toolbench"
"""The key under which a batch carries `Submitted.name`."""
_FINAL = ("completed", "expired", "cancelled", "failed")
_FIRST_LOOK, _LONGER = 1.0, 1.5
"""Seconds before the second look at a batch, and by how much each further pause is longer."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
_CLOCKS_APART = 24 * 3600
"""Seconds by which the endpoint's clock may be behind ours."""
_FILE_SECONDS = 600.0
"""Seconds that sending or reading a file may take at least."""


class GoneError(Exception):
    """The endpoint knows no such batch or file."""


class BatchEndpoint:
    """A client for one event loop, to be closed."""

    def __init__(self, url: str, settings: TeacherSettings) -> None:
        self.url = url
        self._settings = settings
        self._client = connect(url, settings)
        slow = openai.Timeout(max(settings.timeout, _FILE_SECONDS), connect=min(10.0, settings.timeout))
        self._slow = self._client.with_options(timeout=slow)

    async def close(self) -> None:
        """Its connections are closed."""
        await self._client.close()

    async def upload(self, name: str, data: bytes) -> str:
        """Send a file of requests; returns its id. Raises TeacherError, TransientError."""
        files = self._slow.files

        async def send() -> str:
            return (await files.create(file=(f"{METADATA}-{name}.jsonl", data), purpose="batch")).id

        try:
            return await self._patiently(send)
        except GoneError:
            raise TeacherError(
                f"The teacher at {self.url} has no Batch API (nothing is at /files): unset teacher.batch."
            ) from None

    async def create(self, item: Submitted) -> str:
        """Make a batch of the file that was sent; returns its id. Raises TeacherError, TransientError.

        An answer can be lost after the batch was made: before it is asked for again it is looked for.
        """
        tries = 0

        async def make() -> str:
            nonlocal tries
            tries += 1
            if tries > 1 and (found := await self._look_for(item)):
                return found
            made = await self._client.batches.create(
                input_file_id=item.file,
                endpoint=ENDPOINT,
                completion_window="24h",
                metadata={METADATA: item.name},
            )
            return made.id

        try:
            return await self._patiently(make)
        except GoneError:
            raise TeacherError(
                f"The teacher at {self.url} has no Batch API (nothing is at /batches): unset teacher.batch."
            ) from None

    async def find(self, item: Submitted) -> str:
        """The id of the batch that was made before we could note it down; empty if none was."""
        try:
            return await self._patiently(lambda: self._look_for(item))
        except GoneError:
            return ""

    async def remove(self, file: str) -> None:
        """Remove a file of requests of which no batch was made; it does not matter if that fails."""
        try:
            await self._client.files.delete(file)
        except openai.OpenAIError:
            return

    async def ended(self, batch: str, longest: float) -> Batch:
        """The batch, once it has ended, whichever way. Raises GoneError, TeacherError, TransientError.

        Failures to look at it are borne for `teacher.retry_seconds`: nothing is lost by waiting.
        """
        pause = min(_FIRST_LOOK, longest)
        while True:
            found = await self._patiently(
                lambda: self._client.batches.retrieve(batch), seconds=self._settings.retry_seconds
            )
            if found.status in _FINAL:
                return found
            await asyncio.sleep(pause)
            pause = min(pause * _LONGER, longest)

    async def results(self, batch: Batch) -> dict[str, Result]:
        """By custom id, what came of its requests; those that are missing were not answered.

        Raises GoneError, TeacherError, TransientError.
        """
        found: dict[str, Result] = {}
        # A request that is in both files, as none should be, was answered.
        for file in (batch.error_file_id, batch.output_file_id):
            if file:
                found.update(results(await self._read(file)))
        return found

    async def _read(self, file: str) -> bytes:
        async def read() -> bytes:
            return (await self._slow.files.content(file)).content

        return await self._patiently(read)

    async def _look_for(self, item: Submitted) -> str:
        async for batch in self._client.batches.list(limit=100):  # newest first
            if (batch.metadata or {}).get(METADATA) == item.name:
                return batch.id
            if batch.created_at < item.created_at - _CLOCKS_APART:
                break
        return ""

    async def _patiently(self, call: Callable[[], Awaitable[T]], *, seconds: float = 0.0) -> T:
        """What `call` gives, tried again `max_retries` times, and longer if fewer `seconds` have passed."""
        tries, began, settings = 0, time.monotonic(), self._settings
        while True:
            try:
                return await call()
            except openai.NotFoundError:
                raise GoneError from None
            except openai.OpenAIError as error:
                failure = classify(error)
                late = tries >= settings.max_retries and time.monotonic() - began >= seconds
                if failure.about_the_request:
                    reason = one_line(error, settings)
                    raise TeacherError(f"The teacher at {self.url} refuses a batch: {reason}") from None
                if not failure.again or late:
                    raise explain(error, self.url, settings, tries) from None
                pause = failure.pause
            tries += 1
            backoff = random.random() * min(_FIRST_PAUSE * 2.0 ** min(tries, 10), _LONGEST_PAUSE)
            await asyncio.sleep(backoff if pause is None else pause)
