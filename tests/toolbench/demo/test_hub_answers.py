"""Every API answers its own documented example as documented; those that misbehave do so, always in the same way."""

import threading

import httpx
import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from toolbench.demo import MISBEHAVING, create_app, serve
from toolbench.errors import ToolbenchError


def _call(client: TestClient, operation) -> httpx.Response:
    return client.request(operation.method, operation.url, params=operation.query, json=operation.body)


def test_the_documented_example_gets_the_documented_answer(honest: TestClient, operation) -> None:
    first, second = _call(honest, operation), _call(honest, operation)
    assert first.status_code == 200, first.text
    assert first.content == second.content
    Draft202012Validator(operation.schema).validate(first.json())


@pytest.mark.parametrize("operation_id", sorted(MISBEHAVING))
def test_misbehaviour_shows_its_kind(hub: TestClient, operations_by_id, operation_id: str) -> None:
    operation, kind = operations_by_id[operation_id], MISBEHAVING[operation_id]
    answer = _call(hub, operation)
    assert _call(hub, operation).content == answer.content
    if kind.isdigit():
        assert answer.status_code == int(kind)
        assert "message" in answer.json()
        assert ("retry-after" in answer.headers) == (kind == "429")
        return
    assert answer.status_code == 200
    if kind == "html":
        assert answer.headers["content-type"].startswith("text/html")
        return
    Draft202012Validator(operation.schema).validate(answer.json())
    assert (len(answer.content) > 1 << 20) == (kind == "megabyte")


def test_the_slow_api_waits(operations_by_id, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolbench.demo import tool

    waited = []

    class Clock:
        """Stands for asyncio in that module alone: elsewhere others may be sleeping."""

        @staticmethod
        async def sleep(seconds: float) -> None:
            waited.append(seconds)

    monkeypatch.setattr(tool, "asyncio", Clock)
    (slow,) = (name for name, kind in MISBEHAVING.items() if kind == "slow")
    for delays in (True, False):
        assert _call(TestClient(create_app(delays=delays)), operations_by_id[slow]).status_code == 200
    assert [seconds for seconds in waited if seconds] == [20.0]


def test_stats_count_requests_and_reset_forgets_them(hub: TestClient) -> None:
    hub.get("/date-calculator/easter", params={"year": 2025})
    hub.get("/date-calculator/easter", params={"year": "soon"})
    hub.get("/word-statistics/density")
    assert hub.get("/stats").json() == {"total": 3, "requests": {"easter_sunday": 2, "keyword_density": 1}}
    hub.post("/reset")
    assert hub.get("/stats").json() == {"total": 0, "requests": {}}
    assert hub.get("/health").json()["status"] == "ok"


# Both ends of what a parameter's schema admits, and values that it does not.
EDGES = {
    "date": ["0001-01-01", "1900-01-01", "9999-12-31", "today"],
    "time": ["00:00", "23:59:59+05:00"],
    "number": ["-1e12", "-90", "0", "1e-9", "90", "1e6", "1e12", "nan"],
    "integer": ["-1000000000000", "0", "1", "500", "1000000000000", "1.5"],
    "string": ["", "0", "É ?\u0000", "))((", "9" * 400, "1,2,3"],
}


def test_no_value_breaks_an_api(frail: TestClient, operation) -> None:
    for name, schema in operation.parameters.items():
        kind = schema.get("format") if schema.get("format") in EDGES else schema.get("type")
        ends = [schema[end] for end in ("minimum", "maximum") if end in schema]
        for value in [*EDGES.get(kind, []), *ends]:
            answer = frail.request(operation.method, operation.url, params=operation.query | {name: value})
            assert answer.status_code in (200, 400, 404, 422), (name, value, answer.text)
            if answer.status_code == 200:
                Draft202012Validator(operation.schema).validate(answer.json())


REFUSED = [
    ("/world-cities/city", {"name": "Atlantis"}, 404, "Atlantis"),
    ("/exchange-rates/convert", {"amount": 1, "from_currency": "KES", "to_currency": "EUR"}, 404, "KES"),
    ("/exchange-rates/convert", {"amount": "inf", "from_currency": "USD", "to_currency": "EUR"}, 422, "finite"),
    ("/time-zones/offset", {"time_zone": "../../etc/passwd", "date": "2025-01-01"}, 400, "IANA"),
    ("/time-zones/offset", {"time_zone": "Mars/Base", "date": "2025-01-01"}, 400, "IANA"),
    ("/date-calculator/weekday", {"date": "2025-02-30"}, 422, "date"),
    ("/date-calculator/add", {"date": "9999-12-31", "days": 1}, 400, "calendar"),
    ("/public-holidays/next", {"country": "XX", "after": "2025-01-01"}, 404, "XX"),
    ("/chemical-elements/molar-mass", {"formula": "Xx2"}, 400, "Xx"),
    ("/chemical-elements/molar-mass", {"formula": "Ca(OH"}, 400, "closed"),
    ("/chemical-elements/molar-mass", {"formula": "CaOH)2"}, 400, "not a chemical formula"),
    ("/unit-converter/convert", {"value": 1, "from_unit": "9**9**9", "to_unit": "km"}, 400, "not a unit"),
    ("/unit-converter/convert", {"value": 1, "from_unit": "kg", "to_unit": "km"}, 400, "different"),
    ("/descriptive-statistics/summary", {"values": "1,x"}, 400, "'x'"),
    ("/descriptive-statistics/summary", {"values": "1,nan"}, 400, "range"),
    ("/regression-analysis/line", {"xs": "1,1", "ys": "2,3"}, 400, "equal"),
    ("/geometry/triangle", {"a": 1, "b": 2, "c": 3}, 400, "no triangle"),
    ("/number-formats/from-roman", {"roman": "IIII"}, 400, "IIII"),
]


@pytest.mark.parametrize(("url", "query", "status", "hint"), REFUSED)
def test_a_bad_value_is_refused_with_a_reason(
    honest: TestClient, url: str, query: dict, status: int, hint: str
) -> None:
    answer = honest.get(url, params=query)
    assert answer.status_code == status, answer.text
    assert hint in str(answer.json()["detail"])


def test_a_singular_system_is_refused(honest: TestClient) -> None:
    body = {"coefficients": [[1, 2], [2, 4]], "constants": [1, 2]}
    answer = honest.post("/equation-solver/linear-system", json=body)
    assert answer.status_code == 400
    assert "depend" in answer.json()["detail"]


def test_serve_tells_its_port_and_answers_there() -> None:
    ready, ports = threading.Event(), []

    def listening(port: int) -> None:
        ports.append(port)
        ready.set()

    threading.Thread(target=serve, kwargs={"ready": listening, "delays": False}, daemon=True).start()
    assert ready.wait(30)
    assert httpx.get(f"http://127.0.0.1:{ports[0]}/health", timeout=30, trust_env=False).json()["status"] == "ok"
    with pytest.raises(ToolbenchError, match="Cannot listen on"):
        serve(port=ports[0])
