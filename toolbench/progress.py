"""Progress of a stage, from where the work is done to whoever shows it (a bar, an artifact)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Listener = Callable[["Progress"], None]
_listeners: list[Listener] = []
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Progress:
    """A stage's state: `done` of `total` records; `total` 0 while it is not known."""

    stage: str
    done: int
    total: int
    finished: bool = False
    note: str = ""


class Counter:
    """Counts the records of one stage from many threads: `counter.step()` after each."""

    def __init__(self, stage: str, total: int) -> None:
        self.stage, self.total, self.done = stage, total, 0
        self.report()

    def step(self, count: int = 1) -> None:
        """`count` more records are done."""
        with _lock:
            self.done += count
        self.report()

    def finish(self, note: str = "") -> None:
        """The stage has ended."""
        self.report(finished=True, note=note)

    def report(self, *, finished: bool = False, note: str = "") -> None:
        """Tell every listener."""
        for listener in list(_listeners):
            listener(Progress(self.stage, self.done, self.total, finished, note))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While the block runs, `listener` is told of all progress in this process, from any thread."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
