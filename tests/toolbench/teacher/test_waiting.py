import asyncio
import threading

import pytest
from virtual_time import clock, run

from toolbench.teacher.waiting import Waiting


class Gate:
    def __init__(self, free: int) -> None:
        self.free = free

    def ready(self) -> float | None:
        if not self.free:
            return None
        self.free -= 1
        return 0.0


def test_who_came_first_goes_first_even_when_it_comes_again() -> None:
    async def main() -> list[int]:
        waiting, gate, order = Waiting(), Gate(0), []

        async def one(number: int) -> None:
            await waiting.enter(number, gate.ready)
            order.append(number)

        tasks = [asyncio.create_task(one(number)) for number in (5, 3, 8, 1)]
        await asyncio.sleep(0.01)
        for _ in tasks:
            gate.free += 1
            waiting.wake()
            await asyncio.sleep(0.01)
        return order

    assert run(main()) == [1, 3, 5, 8]


def test_nobody_overtakes_even_if_there_is_room() -> None:
    async def main() -> list[int]:
        waiting, order, doors = Waiting(), [], {1: 10.0, 2: 0.0}

        async def one(number: int) -> None:
            start = clock()
            await waiting.enter(number, lambda: max(0.0, start + doors[number] - clock()))
            order.append(number)

        await asyncio.gather(one(1), one(2))
        assert clock() == pytest.approx(10)
        return order

    assert run(main()) == [1, 2]


def test_who_gives_up_or_fails_lets_the_next_one_through() -> None:
    def broken() -> float:
        raise ValueError("no")

    async def main() -> None:
        waiting, gate = Waiting(), Gate(0)
        first = asyncio.create_task(waiting.enter(1, gate.ready))
        second = asyncio.create_task(waiting.enter(2, broken))
        third = asyncio.create_task(waiting.enter(3, gate.ready))
        await asyncio.sleep(0.01)
        assert not second.done(), "asked before its turn"
        gate.free = 1
        first.cancel()
        await third
        with pytest.raises(ValueError, match="no"):
            await second
        assert gate.free == 0

    run(main())


def test_threads_with_loops_of_their_own_share_one_queue() -> None:
    waiting, gate, most, running = Waiting(), Gate(2), [0], [0]

    async def work(base: int) -> None:
        async def one(number: int) -> None:
            await waiting.enter(number, gate.ready)
            with waiting.lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            await asyncio.sleep(0.0005)
            with waiting.lock:
                running[0] -= 1
                gate.free += 1
                waiting.wake()

        await asyncio.gather(*(one(base + n) for n in range(50)))

    threads = [threading.Thread(target=lambda b=base: asyncio.run(work(b))) for base in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (gate.free, most[0], running[0]) == (2, 2, 0)
    assert not any(thread.is_alive() for thread in threads)


def test_a_loop_that_was_closed_over_its_waiters_blocks_nobody() -> None:
    waiting, gate = Waiting(), Gate(0)
    gone = asyncio.new_event_loop()
    task = gone.create_task(waiting.enter(1, gate.ready))
    gone.run_until_complete(asyncio.sleep(0))
    gone.close()
    gate.free = 1
    waiting.wake()
    asyncio.run(asyncio.wait_for(waiting.enter(2, gate.ready), 5))
    assert gate.free == 0
    assert not task.done()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
