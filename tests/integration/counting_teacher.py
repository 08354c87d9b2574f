"""`python counting_teacher.py PORT FILE LATENCY_MS`: an offline teacher that notes each request before it answers.

A line of FILE is a request's digest, as the journals name it; so what was asked is known even of one that was killed.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn

from toolbench.digests import digest
from toolbench.teacher.offline import Faults, create_app

TOUCH = "Say yes."
"""The request that only asks whether somebody is there."""


class Noting:
    def __init__(self, file: Path, latency_ms: float) -> None:
        self._app, self._file = create_app(Faults(latency_ms=latency_ms)), file.open("a", encoding="utf-8")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""

        async def noted() -> Any:
            nonlocal body
            message = await receive()
            if message["type"] == "http.request":
                body += message.get("body", b"")
                if not message.get("more_body"):
                    self._note(body)
            return message

        wanted = scope["type"] == "http" and scope["path"].endswith("/chat/completions")
        await self._app(scope, noted if wanted else receive, send)

    def _note(self, body: bytes) -> None:
        request = json.loads(body)
        if request["messages"][0]["content"] != TOUCH:
            self._file.write(digest(request, 32) + "\n")
            self._file.flush()


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=512)
    app = Noting(Path(sys.argv[2]), float(sys.argv[3]))
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
