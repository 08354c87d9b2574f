"""A reply that is paid for is kept by who is cancelled, and nothing is asked after it."""

import asyncio

import pytest
from virtual_time import clock, run

from toolbench.teacher.finishing import GRACE, finished, stop_here


def cancelled_at(moment: float, takes: float, limit: float = 100.0, fails: bool = False) -> tuple[list[str], float]:
    """What a caller notes that is cancelled at `moment` and goes on with other work, and when it ended."""
    notes: list[str] = []

    async def request() -> str:
        await asyncio.sleep(takes)
        if fails:
            raise ValueError("no reply")
        return "reply"

    async def caller() -> None:
        try:
            async with asyncio.timeout(limit) as own:
                notes.append(await finished(request(), own))
        except TimeoutError:
            notes.append("too late")
        stop_here()
        notes.append("asked again")

    async def main() -> float:
        task = asyncio.create_task(caller())
        await asyncio.sleep(moment)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            notes.append("cancelled")
        return clock()

    ended: float = run(main())
    return notes, ended


@pytest.mark.parametrize(
    ("moment", "takes", "limit", "notes", "ended"),
    [
        (50, 1, 100, ["reply", "asked again"], 50),
        (1, 2, 100, ["reply", "cancelled"], 2),
        (1, 50, 100, ["cancelled"], 1 + GRACE),
        (1, 50, 2, ["cancelled"], 2),
        (50, 20, 10, ["too late", "asked again"], 50),
    ],
)
def test_a_reply_that_comes_soon_is_kept(
    moment: float, takes: float, limit: float, notes: list[str], ended: float
) -> None:
    assert cancelled_at(moment, takes, limit) == (notes, pytest.approx(ended))


def test_a_request_that_fails_after_its_caller_was_cancelled_leaves_it_cancelled() -> None:
    assert cancelled_at(1, 2, fails=True) == (["cancelled"], pytest.approx(2))
