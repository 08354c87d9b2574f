"""The memo of a shard: what one record was answered answers the same request of any other."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

Fit = Callable[[Any], Any]
"""What another record is answered where this was the answer to the same request; None: it has to ask itself."""


class Memo:
    """Answers by request, as the JSON text that the journal holds: one that fits is given to all who ask the same.

    Who asks while the same is being asked waits for that answer. If it does not fit (it failed, say), those who waited
    ask themselves, all at once: what is slow to fail is waited for once and not in a row.
    """

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], list[str]] = {}
        self._under_way: dict[tuple[str, str], asyncio.Future[None]] = {}

    def learn(self, request: tuple[str, str], text: str) -> None:
        """An answer that an earlier try of the shard was given."""
        self._texts.setdefault(request, []).append(text)

    async def answer(self, request: tuple[str, str], fit: Fit, ask: Callable[[], Awaitable[str]]) -> tuple[str, bool]:
        """The answer's text, and whether it is another's. What `ask` raises passes through to its own caller alone."""
        if (text := self._fitting(request, fit)) is not None:
            return text, True
        if (leader := self._under_way.get(request)) is not None:
            await asyncio.wait((leader,))
            if (text := self._fitting(request, fit)) is not None:
                return text, True
            return await self._asked(request, fit, ask), False
        leader = self._under_way[request] = asyncio.get_running_loop().create_future()
        try:
            return await self._asked(request, fit, ask), False
        finally:
            del self._under_way[request]
            leader.set_result(None)

    async def _asked(self, request: tuple[str, str], fit: Fit, ask: Callable[[], Awaitable[str]]) -> str:
        text = await ask()
        # Only what fits is kept: the last of several is as good as the first.
        if fit(json.loads(text)) is not None:
            self._texts[request] = [text]
        return text

    def _fitting(self, request: tuple[str, str], fit: Fit) -> str | None:
        for text in self._texts.get(request, ()):
            value = json.loads(text)
            fitted = fit(value)
            if fitted is not None:
                return text if fitted is value else json.dumps(fitted, ensure_ascii=False)
        return None
