"""Prefect's ephemeral server as a process that ends when we do: neither Ctrl-C nor a kill leaves one behind.

Prefect starts one by itself, but as a part of our process group: Ctrl-C stops it first, and what its client then has to
say buries our own sentence; after a kill it stays for ever.
"""

import json
import os
import socket
import sys
import threading
import time
from contextlib import ExitStack

import httpx

from toolbench.errors import ToolbenchError
from toolbench.services import child

_START_SECONDS = 60
_ANSWER_SECONDS = 5
_POLL_SECONDS = 0.1
# It is never closed: Prefect's client still talks to the server while the interpreter shuts down.
_running = ExitStack()
_ports: list[int] = []


def start_prefect_server() -> None:
    """Start a server for the rest of this process, unless one is configured (`PREFECT_API_URL` or a profile).

    Returns before it answers; see `wait_until_ready`.
    """
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    if get_current_settings().api.url:
        return
    environment = {**os.environ, "PREFECT_UI_ENABLED": "0"}
    port = _running.enter_context(child("flows.server", [], "Prefect's ephemeral server", environment))
    _ports.append(port)
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    refresh_global_settings_context()


def wait_until_ready() -> None:
    """Return when the configured server answers. Raises ToolbenchError if it does not."""
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    ours = url in [f"http://127.0.0.1:{port}/api" for port in _ports]
    deadline = time.monotonic() + (_START_SECONDS if ours else _ANSWER_SECONDS)
    with httpx.Client(trust_env=False, timeout=10) as client:
        while True:
            try:
                # A server of the user's own may ask for a key that only Prefect's client knows: any answer will do.
                client.get(f"{url}/health")
                return
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise ToolbenchError(
                        f"The Prefect server at {url} does not answer: start it, or unset PREFECT_API_URL."
                    ) from None
            time.sleep(_POLL_SECONDS)


def _main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    threading.Thread(target=_stop_at_eof, daemon=True).start()
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.Server(uvicorn.Config(create_app(ephemeral=True, final=True), log_level="error")).run(sockets=[listener])


def _stop_at_eof() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    _main()
