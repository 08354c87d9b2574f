"""A request under way is seen to its end even if nobody wants to go on: its reply is paid for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

GRACE = 3.0
"""Seconds for which a caller that was cancelled still waits for a reply."""


async def finished(request: Coroutine[Any, Any, T], limit: asyncio.Timeout) -> T:
    """What `request` gives, within `limit`.

    If the caller is cancelled meanwhile and the reply comes soon, it is given, and the caller is cancelled at its next
    wait: so it can keep the reply, and ask nothing more (see `stop_here`).
    """
    caller = asyncio.current_task()
    task = asyncio.ensure_future(request)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if caller is None or limit.expired() or task.cancelled():
            raise
        await asyncio.wait((task,), timeout=GRACE)
        if not task.done() or task.cancelled() or task.exception() is not None:
            raise
        caller.cancel()
        return task.result()
    finally:
        task.cancel()


def stop_here() -> None:
    """Raises CancelledError if the caller was cancelled: what comes next may not wait for anything before it costs."""
    caller = asyncio.current_task()
    if caller is not None and caller.cancelling():
        raise asyncio.CancelledError
