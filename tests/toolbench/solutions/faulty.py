"""Teachers and hosts that misbehave in every way at once."""

import asyncio
import json
from typing import Any

from toolbench.digests import digest, draw
from toolbench.teacher.offline import Faults, create_app


async def read(receive: Any) -> bytes:
    """The body of a request."""
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            return body


async def say(
    send: Any, status: int, body: bytes, kind: str = "application/json", *headers: tuple[bytes, bytes]
) -> None:
    """A whole response, in pieces: what nobody reads takes no memory."""
    named = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": named})
    for at in range(0, len(body), 65_536):
        await send({"type": "http.response.body", "body": body[at : at + 65_536], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class Host:
    """A host that says the same to everybody."""

    def __init__(self) -> None:
        self.body, self.kind, self.asked = b"{}", "application/json", 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.asked += 1
            await say(send, 200, self.body, self.kind)


class Faulty:
    """An offline teacher of which `rate` of the replies are a 429, a 500, no answer in time, cut off, malformed or of
    invented names, drawn by request and try; it fails always where `poison` is asked for, and for ever after `lives`.
    """

    KINDS = ("limited", "error", "silent", "cut", "malformed", "hallucination")

    def __init__(self, rate: float = 0.0, *, poison: str = "", lives: int = 1 << 30, end: str = "error") -> None:
        each = rate / len(self.KINDS)
        self._app = create_app(Faults(malformed_rate=each, hallucination_rate=each))
        self._each, self._poison, self._end = each, poison, end
        self.lives = lives
        self.tries: dict[str, int] = {}
        self.given: dict[str, int] = {}
        """Whole replies by request."""
        self.struck: dict[str, int] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/chat/completions"):
            return await self._app(scope, receive, send)
        body = await read(receive)
        name = digest(json.loads(body))
        number = self.tries[name] = self.tries.get(name, -1) + 1
        kind = self._kind(name, number)
        if self._poison and any(self._poison in (m["content"] or "") for m in json.loads(body)["messages"]):
            kind = "error"
        if self.lives <= 0:
            kind = self._end
        self.struck[kind] = self.struck.get(kind, 0) + 1
        if kind == "limited":
            return await say(
                send, 429, b'{"error": {"message": "slow"}}', "application/json", (b"retry-after-ms", b"1")
            )
        if kind == "error":
            return await say(send, 500, b'{"error": {"message": "oh"}}', "application/json", (b"retry-after-ms", b"1"))
        if kind == "silent":
            return await asyncio.sleep(3600)
        if kind == "cut":
            return await say(send, 200, b'{"choices": [{"message": {"content": "So I w')
        self.lives -= 1
        self.given[name] = self.given.get(name, 0) + 1

        async def again() -> Any:
            return {"type": "http.request", "body": body}

        return await self._app(scope, again, send)

    def _kind(self, name: str, number: int) -> str:
        place = draw(f"{name}:{number}", "fault")
        return next((k for n, k in enumerate(self.KINDS[:4]) if n * self._each <= place < (n + 1) * self._each), "")
