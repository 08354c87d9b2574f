"""Whether an endpoint answers anything at all: found out with the smallest request there is.

It tells an endpoint that is gone from one that is slow, and from a request that nobody could answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import openai

from toolbench.errors import TeacherError
from toolbench.teacher.line import Line

Post = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
Sleep = Callable[[float], Awaitable[None]]

SECONDS = 10.0
"""Within which it has to answer."""
_TRIES = 3
"""Where it answers with 5xx, or the connection fails: an endpoint may fail often and be there."""
PAUSE = 1.0
"""Seconds between those."""
_LOOK_AGAIN = 0.5


class Touch:
    """Keeps an eye on the endpoints that one client has requests under way at."""

    def __init__(self, post: Post, model: str, seconds: float, sleep: Sleep) -> None:
        self._post = post
        self._body = {
            "model": model,
            "messages": [{"role": "user", "content": "Say yes."}],
            "max_completion_tokens": 16,
        }
        self._seconds = min(SECONDS, seconds)
        self._sleep = sleep
        self._asking: dict[str, asyncio.Task[bool]] = {}
        self.asked = 0
        """Requests made; they are in no budget, for a few tokens are no reason to give up all that was paid for."""

    async def answers(self, line: Line) -> bool:
        """Whether the endpoint answers now. The line is told, and that it is gone if it was silent for too long.

        Who asks meanwhile gets the same answer.
        """
        return await asyncio.shield(self._task(line))

    @contextmanager
    def watching(self, line: Line, limit: asyncio.Timeout, gone: int) -> Iterator[None]:
        """Around a request: `limit` ends it at once when the endpoint is found to be gone more than `gone` times."""
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle

        def look() -> None:
            nonlocal handle
            if line.gone > gone:
                limit.reschedule(loop.time())
                return
            left = line.silence_left()
            if not left:
                self._task(line)
            handle = loop.call_later(left or _LOOK_AGAIN, look)

        handle = loop.call_later(line.silence_left() or _LOOK_AGAIN, look)
        try:
            yield
        finally:
            handle.cancel()

    async def close(self) -> None:
        """Ask no more."""
        for task in list(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def _task(self, line: Line) -> asyncio.Task[bool]:
        if (task := self._asking.get(line.url)) is None:
            task = self._asking[line.url] = asyncio.create_task(self._ask(line))
            task.add_done_callback(lambda _: self._asking.pop(line.url, None))
        return task

    async def _ask(self, line: Line) -> bool:
        trouble = ""
        for number in range(_TRIES):
            if number:
                await self._sleep(PAUSE)
            self.asked += 1
            trouble = await self._trouble(line.url)
            if not trouble:
                line.alive()
                return True
            if trouble.startswith("no answer"):
                break
        if not line.silence_left():
            line.lost(trouble)
        return False

    async def _trouble(self, url: str) -> str:
        """What is wrong in a few words; empty if there is an answer, be it that the request is not liked."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._post(url, self._body)
        except (TimeoutError, openai.APITimeoutError):
            return f"no answer within {self._seconds:g} s"
        except openai.APIConnectionError:
            return "the connection failed"
        except openai.APIStatusError as error:
            return f"HTTP {error.status_code}" if error.status_code >= 500 else ""
        except (openai.OpenAIError, TeacherError):
            return "its answers are no chat completions"
        return ""
