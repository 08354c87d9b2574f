"""An event loop in which time passes only while everybody sleeps, and then at once."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """`loop.time` is the clock to inject."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds passed since the start."""
        return self._virtual.now


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """What `main` returns, in virtual time; whoever sleeps for ever makes the test hang and time out."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)


def clock() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()
