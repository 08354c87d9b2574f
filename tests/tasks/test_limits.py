"""Limits: which endpoints are asked, what their limits are called, and how shards lease their slots."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks import limits
from tasks.limits import endpoint_limit, endpoints, slots
from toolbench.concurrency import Stopping
from toolbench.errors import StoppedError
from toolbench.settings import OPENAI, Settings


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (OPENAI, "teacher-api.openai.com-v1"),
        ("http://127.0.0.1:8000/v1", "teacher-127.0.0.1-8000-v1"),
        ("http://[::1]:8000/v1/", "teacher-1-8000-v1"),
        ("https://me:secret@host.test/a%20b/v1?key=secret", "teacher-host.test-a-20b-v1"),
    ],
)
def test_a_limit_has_a_name_that_prefect_takes_and_that_tells_no_secret(url: str, name: str) -> None:
    assert endpoint_limit(url) == name


def test_the_offline_teacher_has_none() -> None:
    assert endpoints(Settings()) == []


def test_a_model_without_an_address_is_openais() -> None:
    assert endpoints(Settings().with_(teacher={"model": "gpt-x"})) == [OPENAI]


def test_all_endpoints_count_and_each_once() -> None:
    more = {"model": "m", "base_url": "http://a.test/v1", "endpoints": {"http://b.test/v1": 2.0}}
    settings = Settings().with_(teacher=more, judge={"base_url": "http://c.test/v1", "model": "j"})
    assert endpoints(settings) == ["http://a.test/v1", "http://b.test/v1", "http://c.test/v1"]
    without = Settings().with_(teacher={**more, "base_url": ""})
    assert endpoints(without) == ["http://b.test/v1"]


# Leases


ONE, TWO = "http://127.0.0.1:8001/v1", "http://127.0.0.1:8002/v1"


@pytest.fixture
def limit(prefect_server: None) -> Iterator[Callable[[str, int], str]]:
    """Makes a limit; all are removed afterwards, and nothing is remembered of them."""
    made: list[str] = []

    def make(url: str, size: int) -> str:
        made.append(endpoint_limit(url))
        with get_client(sync_client=True) as client:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=made[-1], limit=size))
        return made[-1]

    limits._known.clear()
    yield make
    with get_client(sync_client=True) as client:
        for name in made:
            client.delete_global_concurrency_limit_by_name(name)
    limits._known.clear()


def _asks(*urls: str, at_once: int = 4) -> Settings:
    weights = dict.fromkeys(urls[1:], 1.0)
    return Settings().with_(teacher={"base_url": urls[0], "endpoints": weights, "max_concurrency": at_once})


def _in_use(name: str) -> int:
    with get_client(sync_client=True) as client:
        return client.read_global_concurrency_limit_by_name(name).active_slots


def _never() -> None:
    """Nobody stops it."""


def test_a_shard_leases_what_it_uses_and_gives_it_back_whatever_happens(limit: Callable[[str, int], str]) -> None:
    name = limit(ONE, 10)
    with slots(_asks(ONE), 50, _never) as granted:
        assert _in_use(name) == granted.teacher.max_concurrency == 4
        with slots(_asks(ONE), 2, _never):
            assert _in_use(name) == 6, "a shard of two records asks no more than two at once"
    with pytest.raises(RuntimeError), slots(_asks(ONE), 50, _never):
        raise RuntimeError
    assert _in_use(name) == 0


def test_a_shard_asks_no_more_at_once_than_the_limit_has(limit: Callable[[str, int], str]) -> None:
    name = limit(ONE, 3)
    with slots(_asks(ONE, at_once=16), 50, _never) as granted:
        assert _in_use(name) == granted.teacher.max_concurrency == 3


def test_each_of_several_endpoints_is_leased_its_share(limit: Callable[[str, int], str]) -> None:
    names = [limit(ONE, 8), limit(TWO, 8)]
    with slots(_asks(ONE, TWO, at_once=6), 50, _never) as granted:
        assert [_in_use(name) for name in names] == [3, 3]
        assert granted.teacher.max_concurrency == 6


def test_who_waits_for_slots_can_be_stopped(limit: Callable[[str, int], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_WAIT_SECONDS", 0.5)
    limit(ONE, 4)
    stopping = Stopping()

    def wait() -> None:
        with slots(_asks(ONE), 50, stopping.check):
            raise AssertionError("there were no slots")

    with slots(_asks(ONE), 50, _never), ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait)
        stopping.stop()
        with pytest.raises(StoppedError):
            waiting.result(60)


def test_without_a_limit_nothing_is_leased(prefect_server: None) -> None:
    limits._known.clear()
    settings = _asks(TWO)
    with slots(settings, 50, _never) as granted:
        assert granted is settings
    with slots(Settings(), 50, _never) as granted:
        assert granted == Settings()


def test_without_a_server_the_shard_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    limits._known.clear()
    nowhere = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(nowhere), slots(_asks(TWO), 50, _never) as granted:
        assert granted.teacher.max_concurrency == 4
    assert "cannot be looked up" in caplog.text
    limits._known.clear()
