"""Bounded concurrency with results in order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    items: Sequence[T],
    work: Callable[[T], Awaitable[R]],
    *,
    limit: int,
    done: Callable[[], None] | None = None,
) -> list[R]:
    """`work` on every item, at most `limit` at once; results in the order of `items`.

    `done` is called after each. The first exception cancels what is under way and is raised as it is.
    """
    results: list[R | None] = [None] * len(items)
    queue = iter(range(len(items)))

    async def worker() -> None:
        for index in queue:
            results[index] = await work(items[index])
            if done:
                done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(limit, len(items))):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return results  # type: ignore[return-value]
