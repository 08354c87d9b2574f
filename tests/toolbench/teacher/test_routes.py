from collections import Counter

import pytest

from toolbench.errors import UsageError
from toolbench.settings import OFFLINE_MODEL, TeacherSettings, load
from toolbench.teacher import routes

NAMES = [f"request {n}" for n in range(4000)]


def test_requests_are_shared_out_by_weight_and_always_in_the_same_way() -> None:
    weights = {"a": 3.0, "b": 1.0}
    firsts = Counter(routes.order(weights, name)[0] for name in NAMES)
    assert firsts["a"] == pytest.approx(3000, abs=100)
    assert all(routes.order(weights, name) == routes.order(dict(reversed(weights.items())), name) for name in NAMES)


def test_an_endpoint_that_is_gone_moves_only_its_own_requests() -> None:
    three, two = {"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 1.0, "b": 1.0}
    for name in NAMES[:500]:
        assert routes.order(two, name) == [url for url in routes.order(three, name) if url != "c"]


def test_the_base_address_is_one_of_the_endpoints() -> None:
    assert routes.urls("", {}) == {"": 1.0}
    assert routes.urls("u", {}) == {"u": 1.0}
    assert routes.urls("", {"v": 2.0}) == {"v": 2.0}
    assert routes.urls("u", {"v": 2.0, "u": 3.0}) == {"u": 3.0, "v": 2.0}
    assert not TeacherSettings(model=OFFLINE_MODEL, endpoints={"http://v/v1": 1}).offline


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"teacher.endpoints": {"teacher.example": 1}}, "no address of an endpoint"),
        ({"teacher.endpoints": {"https://t.example/v1": 0}}, "has to be above 0"),
        ({"teacher.budget_dollars": 5, "teacher.model": "m"}, "needs the price of m in teacher.prices"),
    ],
)
def test_settings_that_cannot_work_are_refused(flags: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load(flags)
