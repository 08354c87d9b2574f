"""The tools of a running MCP server: one started here as a process, or one at an address.

The official SDK talks to it. What comes back is the document that `mcp` reads from files, so that a live server and its
saved list give the same catalogue.
"""

import asyncio
import json
import logging
import shlex
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import IO, TYPE_CHECKING, Any

from toolbench.catalogue import mcp_http
from toolbench.catalogue.mcp import SCHEME
from toolbench.catalogue.mcp_commands import STDIO, shown, without_arguments
from toolbench.catalogue.text import clip, plain
from toolbench.catalogue.web import without_credentials
from toolbench.errors import SourceError

if TYPE_CHECKING:
    from mcp import Client

_TIMEOUT = 30.0
"""Seconds for everything: start, handshake and all pages."""
_PAGES = 100
_SAID_LIMIT = 300


def of_command(source: str) -> bytes:
    """The document of the server that `stdio:COMMAND ARGS…` starts; it has ended when this returns.

    No shell is involved, and the process gets the few environment variables that the SDK lets through.
    Raises SourceError in one sentence: no command, not found, ended early, no MCP server, too slow.
    """
    try:
        words = shlex.split(source.removeprefix(STDIO))
    except ValueError as error:
        raise SourceError(f"The command behind {STDIO} cannot be read: {error}; check its quotes.") from None
    if not words:
        raise SourceError(f"There is no command behind {STDIO}: write {STDIO}COMMAND ARGS… to start an MCP server.")
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr:
        try:
            return _finished(_by_command(words, stderr))
        except _Failed as failed:
            said = without_arguments(_last_line(stderr), words[1:])
            why = f"{failed}; its last words: {said}" if said else str(failed)
            raise SourceError(
                f"The MCP server {shown(source)} {why}; run the command by hand to see that it starts."
            ) from None


def at_address(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The document of the server at an http(s) URL that speaks streamable HTTP. Raises SourceError in one sentence."""
    try:
        return _finished(_at_address(url.removeprefix(SCHEME), headers or {}))
    except _Failed as failed:
        raise SourceError(
            f"The MCP server at {shown(url)} {failed}; check the address, which often ends in /mcp, and the header "
            "Authorization if it needs one."
        ) from None


class _Failed(Exception):
    """Why there is no list, as the end of a sentence."""


def _finished(work: Coroutine[Any, Any, dict[str, Any]]) -> bytes:
    """The document as JSON; waits for it in a thread of its own where an event loop is running already."""
    import anyio

    async def limited() -> dict[str, Any]:
        try:
            with anyio.fail_after(_TIMEOUT):
                return await work
        except TimeoutError:
            raise _Failed(f"did not list its tools within {_TIMEOUT:g} seconds") from None
        except Exception as error:
            raise _Failed(_reason(error)) from None

    with _quiet():
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            document = anyio.run(limited)
        else:
            with ThreadPoolExecutor(1) as pool:
                document = pool.submit(anyio.run, limited).result()
    return json.dumps(document).encode()


async def _by_command(words: list[str], stderr: IO[str]) -> dict[str, Any]:
    from mcp.client.stdio import StdioServerParameters, stdio_client

    command = StdioServerParameters(command=words[0], args=words[1:], encoding_error_handler="replace")
    return await _listed(stdio_client(command, errlog=stderr), "")  # type: ignore[arg-type]


async def _at_address(url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    from mcp.client.streamable_http import streamable_http_client

    async with mcp_http.client(headers, _TIMEOUT) as http:
        return await _listed(streamable_http_client(url, http_client=http), without_credentials(url))


async def _listed(transport: AbstractAsyncContextManager[Any], address: str) -> dict[str, Any]:
    """All pages of the server behind a transport, as one document."""
    from mcp import Client

    pages: list[dict[str, Any]] = []
    async with Client(_tapped(transport, pages), cache=None) as client:
        tools = await _all_pages(client, pages)
        about = client.server_info
        return {
            "server": about.name if about else "",
            "title": (about.title if about else "") or "",
            "version": about.version if about else "",
            "description": client.instructions or "",
            "address": address,
            "tools": tools,
        }


async def _all_pages(client: "Client", pages: list[dict[str, Any]]) -> list[Any]:
    """The tools as they came: the SDK takes a page with one broken tool for none, and leaves out tools in silence."""
    from pydantic import ValidationError

    tools: list[Any] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        pages.clear()
        try:
            await client.list_tools(cursor=cursor)
        except ValidationError:
            if not pages:
                raise
        if not pages:
            raise _Failed("answers tools/list with something else than a list")
        tools += pages[-1]["tools"]
        following = pages[-1].get("nextCursor")
        if not isinstance(following, str) or not following or following == cursor:
            return tools
        cursor = following
    raise _Failed(f"lists its tools on more than {_PAGES} pages")


@asynccontextmanager
async def _tapped(transport: AbstractAsyncContextManager[Any], pages: list[dict[str, Any]]) -> AsyncIterator[Any]:
    async with transport as (incoming, outgoing):
        yield _Tap(incoming, pages), outgoing


class _Tap:
    """A transport's incoming stream; keeps the lists of tools that pass through it."""

    def __init__(self, stream: Any, pages: list[dict[str, Any]]) -> None:
        self._stream, self._pages = stream, pages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> "_Tap":
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)

    def __aiter__(self) -> "_Tap":
        return self

    async def __anext__(self) -> Any:
        return self._noted(await self._stream.__anext__())

    async def receive(self) -> Any:
        return self._noted(await self._stream.receive())

    def _noted(self, item: Any) -> Any:
        result = getattr(getattr(item, "message", None), "result", None)
        if isinstance(result, dict) and isinstance(result.get("tools"), list):
            self._pages.append(result)
        return item


def _reason(error: BaseException) -> str:
    """What failed, as the end of a sentence; of several failures at once the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, _Failed):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "cannot be started: the command is not found"
    if isinstance(error, PermissionError):
        return "cannot be started: the command may not be executed"
    said = clip(plain(str(error)), _SAID_LIMIT)
    if said == "Connection closed":
        return "ended before it answered"
    return f"does not answer as an MCP server: {said or type(error).__name__}"


def _last_line(stream: IO[str]) -> str:
    """The last line of the end of a file that somebody else may have written anything to."""
    stream.flush()
    end = stream.seek(0, 2)
    stream.buffer.seek(max(0, end - 4000))  # type: ignore[attr-defined]
    lines = stream.buffer.read().decode("utf-8", "replace").split("\n")  # type: ignore[attr-defined]
    printable = ("".join(c if c.isprintable() else " " for c in line).strip() for line in reversed(lines))
    return next((line[:_SAID_LIMIT] for line in printable if line), "")


@contextmanager
def _quiet() -> Iterator[None]:
    """The SDK logs tracebacks of what strangers sent; the user is told in one sentence instead."""
    logger = logging.getLogger("mcp")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
