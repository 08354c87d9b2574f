"""Limits: which endpoints are asked, and what their limits are called."""

import pytest

from tasks.limits import endpoint_limit, endpoints
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
