"""Requests on their way through a batch, and batches that somebody may still want replies of."""

from concurrent.futures import Future
from dataclasses import dataclass, field

from toolbench.teacher.batches.lines import Result
from toolbench.teacher.batches.submitted import Submitted


@dataclass(eq=False, slots=True)
class Ticket:
    """One request's place in a batch, or before one. What it waits for is handed out once."""

    name: str
    """Of the request."""
    body: bytes = b""
    """JSON; empty in a batch of earlier."""
    future: "Future[Result | None]" = field(default_factory=Future)
    """The result; None: no batch was made after all."""
    batch: "Open | None" = None
    """None until one is being made."""
    custom_id: str = ""
    given_up: bool = False
    """Its shard no longer waits for it."""

    def answer(self, result: Result | None) -> None:
        """Hand out the result, unless the shard has gone."""
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Hand out an error, unless the shard has gone."""
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


@dataclass(eq=False, slots=True)
class Open:
    """A batch of which some reply is not known to be in a journal."""

    record: Submitted
    taken: dict[str, Ticket] = field(default_factory=dict)
    """By custom id: the tickets of those who wait for a reply or have got it."""
    attended: bool = False
    """Somebody looks when it ends."""
