"""Progress reaches every listener, from any thread, while it listens."""

from concurrent.futures import ThreadPoolExecutor

from toolbench.progress import Counter, Progress, listening


def test_a_listener_hears_of_every_step_and_of_nothing_after() -> None:
    heard: list[Progress] = []
    with listening(heard.append):
        counter = Counter("solutions", 3)
        counter.step()
        counter.step(2)
        counter.finish("unchanged")
    counter.step()
    assert [(p.done, p.total, p.finished, p.note) for p in heard] == [
        (0, 3, False, ""), (1, 3, False, ""), (3, 3, False, ""), (3, 3, True, "unchanged")
    ]  # fmt: skip
    assert {p.stage for p in heard} == {"solutions"}


def test_no_step_is_lost_between_threads() -> None:
    counter = Counter("x", 0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [counter.step() for _ in range(500)], range(8)))
    assert counter.done == 4000


def test_a_listener_goes_even_if_the_block_fails() -> None:
    heard: list[Progress] = []
    try:
        with listening(heard.append):
            raise RuntimeError
    except RuntimeError:
        pass
    Counter("x", 1)
    assert heard == []
