"""The gatherer: takes requests from all running shards, and hands out what batches say of them."""

import asyncio
import threading
import time
import uuid
from collections.abc import Collection, Coroutine, Mapping, Sequence

from openai.types import Batch

from toolbench.errors import TeacherError
from toolbench.settings import TeacherSettings
from toolbench.teacher.batches import lines, submitted
from toolbench.teacher.batches.endpoint import BatchEndpoint, GoneError
from toolbench.teacher.batches.lines import Result
from toolbench.teacher.batches.submitted import Shelf, Submitted
from toolbench.teacher.batches.tickets import Open, Ticket

_STOP_SECONDS = 5.0
_NO_RESULT = Result(code="no_result", message="the batch ended without a result for it")


class Gatherer:
    """One endpoint, key and model, and one lake; threads and event loops share it.

    It works in a thread of its own until `stop`. Requests are gathered until no other came for `batch_linger` seconds,
    then sent. A batch of earlier is looked at when one of its requests is asked for again. What was begun is in the
    lake before the endpoint hears of it, and stays there until the replies are said to be in a journal.
    """

    def __init__(self, url: str, settings: TeacherSettings, shelf: Shelf) -> None:
        self.url = url
        self._settings = settings
        self._shelf = shelf
        self._endpoint = BatchEndpoint(url, settings)
        self._lock = threading.Lock()
        """Guards what threads share: `_holding`, and what is taken of the batches. Nobody waits for anything else while
        holding it."""
        self._saving = threading.RLock()
        self._holding: dict[str, list[tuple[Open, str]]] = {}
        """By the request's name: where it was sent, and under which custom id."""
        for item in submitted.load(shelf, url, settings.model):
            self._hold(Open(item), item.requests)
        self._waiting: list[Ticket] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), daemon=True, name="batches")
        self._thread.start()
        self._ready.wait()

    # For shards, from any thread

    def claim(self, name: str) -> Ticket | None:
        """A place in a batch that was sent earlier, for the request called `name`; None if there is none left."""
        with self._lock:
            for batch, custom_id in self._holding.get(name, ()):
                if custom_id not in batch.taken:
                    ticket = batch.taken[custom_id] = Ticket(name, batch=batch, custom_id=custom_id)
                    break
            else:
                return None
        self._loop.call_soon_threadsafe(self._attend_to, batch)
        return ticket

    def ask(self, name: str, body: bytes) -> Ticket:
        """Put a request into the next batch."""
        ticket = Ticket(name, body)
        self._loop.call_soon_threadsafe(self._take, ticket)
        return ticket

    def release(self, tickets: Sequence[Ticket]) -> None:
        """What these got, or would get, may be claimed again."""
        with self._lock:
            for ticket in tickets:
                ticket.given_up = True
                if ticket.batch and ticket.batch.taken.get(ticket.custom_id) is ticket:
                    del ticket.batch.taken[ticket.custom_id]

    def settle(self, tickets: Sequence[Ticket]) -> None:
        """What these got is in a journal. Raises LakeError."""
        by_batch: dict[Open, set[str]] = {}
        for ticket in tickets:
            if ticket.batch:
                by_batch.setdefault(ticket.batch, set()).add(ticket.custom_id)
        for batch, custom_ids in by_batch.items():
            self._drop(batch, custom_ids)

    def stop(self) -> None:
        """End the thread. Batches go on at the endpoint."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(_STOP_SECONDS)

    # In its own thread

    async def _work(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._ending.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._endpoint.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _take(self, ticket: Ticket) -> None:
        """Add a request to those that are gathered, and send them if they fill a file."""
        length = lines.size(ticket.name, ticket.body)
        if self._waiting and self._bytes + length > self._settings.batch_bytes:
            self._send()
        self._waiting.append(ticket)
        self._bytes += length
        if self._timer:
            self._timer.cancel()
        if len(self._waiting) == self._settings.batch_requests:
            self._send()
        else:
            self._timer = self._loop.call_later(self._settings.batch_linger, self._send)

    def _send(self) -> None:
        """Make a batch of those that came so far; `_take` saw to it that they fit into one file."""
        tickets, self._waiting, self._bytes = [t for t in self._waiting if not t.given_up], [], 0
        if tickets:
            self._start(self._submit(tickets))

    async def _submit(self, tickets: Sequence[Ticket]) -> None:
        made = [lines.request(ticket.name, number, ticket.body) for number, ticket in enumerate(tickets)]
        names = [custom_id for custom_id, _ in made]
        record = Submitted(
            name=uuid.uuid4().hex, url=self.url, model=self._settings.model, created_at=time.time(), requests=names
        )
        batch = Open(record, attended=True)
        try:
            record.save(self._shelf)
            try:
                record.file = await self._endpoint.upload(record.name, b"".join(line for _, line in made))
            except Exception:
                self._forget(batch)  # a file alone costs nothing
                raise
            # From here on it may be paid for: if the next steps fail, who asks again looks for it at the endpoint.
            self._place(batch, tickets, names)
            self._save(batch)
            record.batch = await self._endpoint.create(record)
            self._save(batch)
        except Exception as error:
            batch.attended = False
            for ticket in tickets:
                ticket.fail(error)
        else:
            await self._attend(batch)

    def _attend_to(self, batch: Open) -> None:
        if not batch.attended:
            batch.attended = True
            self._start(self._attend(batch))

    async def _attend(self, batch: Open) -> None:
        """See a batch to its end, and again if somebody has asked for more of it meanwhile."""
        try:
            await asyncio.sleep(self._settings.batch_linger)  # those who ask for the rest of it come at once
            while tickets := self._expecting(batch):
                await self._hand_out(batch, tickets)
        except Exception as error:
            for ticket in self._expecting(batch):
                ticket.fail(error)
        finally:
            batch.attended = False
        if self._expecting(batch):  # it was claimed while we left
            self._attend_to(batch)

    async def _hand_out(self, batch: Open, tickets: Sequence[Ticket]) -> None:
        """What became of the requests. Raises TeacherError, TransientError, LakeError."""
        record = batch.record
        try:
            if not record.batch:
                record.batch = await self._endpoint.find(record)
                self._save(batch)
            if not record.batch:
                raise GoneError
            ended = await self._endpoint.ended(record.batch, self._settings.batch_poll)
            found = await self._endpoint.results(ended)
        except GoneError:
            self._forget(batch)
            if record.file:
                await self._endpoint.remove(record.file)
            for ticket in tickets:
                ticket.answer(None)
            return
        if ended.status == "failed":
            self._forget(batch)
            for ticket in self._expecting(batch):
                ticket.batch = None  # it cost nothing
                ticket.fail(_refused(self.url, ended))
            return
        self._tell(batch, tickets, ended, found)

    def _tell(self, batch: Open, tickets: Sequence[Ticket], ended: Batch, found: Mapping[str, Result]) -> None:
        # What the model was not asked holds nothing that was paid for: it is not looked for again.
        empty = [name for name in batch.record.requests if name not in found or not found[name].status]
        self._drop(batch, set(empty))
        stopped = TeacherError(
            f"Batch {ended.id} was cancelled at {self.url}; run the same command again to ask for the rest of it."
        )
        for ticket in tickets:
            result = found.get(ticket.custom_id, _NO_RESULT)
            if not result.status and ended.status == "cancelled":
                ticket.fail(stopped)
            else:
                ticket.answer(result)

    # What is known of batches

    def _hold(self, batch: Open, custom_ids: Sequence[str]) -> None:
        for custom_id in custom_ids:
            self._holding.setdefault(submitted.name_of(custom_id), []).append((batch, custom_id))

    def _place(self, batch: Open, tickets: Sequence[Ticket], custom_ids: Sequence[str]) -> None:
        """From now on the batch can be found by its requests."""
        with self._lock:
            for ticket, custom_id in zip(tickets, custom_ids, strict=True):
                ticket.batch, ticket.custom_id, ticket.body = batch, custom_id, b""
                if not ticket.given_up:
                    batch.taken[custom_id] = ticket
            self._hold(batch, custom_ids)

    def _expecting(self, batch: Open) -> list[Ticket]:
        """The tickets of a batch that have got nothing yet."""
        with self._lock:
            return [ticket for ticket in batch.taken.values() if not ticket.future.done()]

    def _forget(self, batch: Open) -> None:
        self._drop(batch, set(batch.record.requests))

    def _drop(self, batch: Open, custom_ids: Collection[str]) -> None:
        """These replies are wanted no more."""
        with self._saving:
            with self._lock:
                batch.record.requests = [name for name in batch.record.requests if name not in custom_ids]
                for custom_id in custom_ids:
                    name = submitted.name_of(custom_id)
                    left = [place for place in self._holding.get(name, ()) if place != (batch, custom_id)]
                    self._holding[name] = left
                    if not left:
                        del self._holding[name]
            self._save(batch)

    def _save(self, batch: Open) -> None:
        with self._saving:
            batch.record.save(self._shelf)


def _refused(url: str, ended: Batch) -> TeacherError:
    """The error of a batch that the endpoint did not take. Nothing of it was paid for."""
    said = (ended.errors.data if ended.errors else None) or []
    first = said[0] if said else None
    reason = " ".join(f"{first.message or first.code or 'no reason is given'}".split())[:300] if first else "no reason"
    where = f" (line {first.line})" if first and first.line is not None else ""
    way_out = (
        "wait for other batches to end, or lower teacher.batch_requests"
        if first and first.code == "token_limit_exceeded"
        else "change what it names, or unset teacher.batch"
    )
    return TeacherError(f"The teacher at {url} did not accept batch {ended.id}: {reason}{where}; {way_out}.")
