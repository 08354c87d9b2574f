"""Screening night after night: what is counted, what is replayed, what is retired and revived."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from workshop import Server, a_tool, an_api, forget, publish, written

from toolbench import screening
from toolbench.errors import UsageError
from toolbench.lake import Lake, Snapshot, Spec
from toolbench.records import Api, Parameter, Tool, Verdict
from toolbench.screening.memory import after
from toolbench.settings import Settings

WHERE = {"source": "mine", "category": "Weather"}
CITY = Parameter(name="city", shown_as="city", type="string", required=True, default='"Oslo"')


class Host:
    """An API server whose answer a test sets."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, '{"sky": "blue"}', 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.asked += 1
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body.encode()})


class Nights:
    """A lake with one category of APIs, screened night by night."""

    def __init__(self, lake: Lake, apis: list[Api], settings: Settings) -> None:
        self.lake, self.settings = lake, settings
        tools = {api.tool_id: a_tool(api) for api in apis}
        spec = Spec(stage="catalogue", label="", partition=WHERE, records=[], content="x", params={})
        receipt = lake.finish(spec, {Api: apis, Tool: list(tools.values())}, taken_in=len(apis), passed_on=len(apis))
        self.view: Snapshot = publish(lake, [receipt], ("tools", "apis"))
        self.specs: list[Spec] = []

    def screen(self, night: str, **changed: Any) -> dict[str, Verdict]:
        """The verdicts after a night, by the API's name."""
        settings = self.settings.with_(**changed)
        self.specs = screening.plan(self.lake, self.view, settings, night)
        receipts = []
        for spec in self.specs:
            self.lake.put_spec(spec)  # as a flow does
            receipt = self.lake.receipt(spec.digest)
            receipts.append(receipt or asyncio.run(screening.screen(self.lake, spec, settings, lambda: None)))
        for receipt in receipts:
            receipt.check("verdicts")
        self.view = publish(self.lake, receipts, screening.TABLES)
        return {v.id.rpartition("/")[2]: v for v in self.lake.rows(self.view, Verdict)}

    def changes(self) -> dict[str, list[str]]:
        """What the last night retired and revived."""
        return dict(screening.changes(self.lake, self.view.entries("verdicts")))


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def nights(lake: Lake, host: Host, request: pytest.FixtureRequest) -> Any:
    server = Server(host)
    apis = [
        an_api("Sky", "now", parameters=[CITY]),
        an_api("Sky", "later", parameters=[replace(CITY, default=None)], definition="{}"),
    ]
    rules = {"hosts": {"sky.example.org": server.url}, "retries": 0, "rate_per_host": 0}
    yield Nights(lake, apis, Settings(lake=lake.uri, apis=rules, screening={"nights": 2}))
    server.stop()


def test_an_api_is_retired_after_so_many_failed_nights_and_revived_when_it_works(nights: Nights, host: Host) -> None:
    host.status = 500
    seen = []
    for night in ("2025-01-01", "2025-01-02", "2025-01-03"):
        verdict = nights.screen(night)["now"]
        seen.append((verdict.verdict, verdict.failed_nights, verdict.retired))
    assert seen == [("dead", 1, False), ("dead", 2, True), ("dead", 3, True)]
    assert nights.changes() == {"retired": [], "revived": []}
    host.status = 200
    verdict = nights.screen("2025-01-04")["now"]
    assert (verdict.verdict, verdict.failed_nights, verdict.retired) == ("working", 0, False)
    assert nights.changes() == {"retired": [], "revived": ["Weather/sky/now"]}


def test_the_same_night_is_counted_once_and_asks_nobody_again(nights: Nights, host: Host) -> None:
    host.status = 500
    first = nights.screen("2025-01-01")
    asked, specs, view = host.asked, nights.specs, nights.view
    assert nights.screen("2025-01-01") == first
    assert (host.asked, nights.specs, nights.view) == (asked, specs, view)


def test_a_night_screened_again_under_other_rules_starts_from_where_it_began(nights: Nights, host: Host) -> None:
    host.status = 500
    nights.screen("2025-01-01")
    assert nights.screen("2025-01-02")["now"].failed_nights == 2
    host.status = 200
    assert nights.screen("2025-01-02", screening={"calls": 3})["now"].failed_nights == 0
    host.status = 500
    # It worked in between: what this night began with is still one failed night.
    again = nights.screen("2025-01-02", screening={"calls": 4})["now"]
    assert (again.failed_nights, again.retired) == (2, True)
    assert nights.changes()["retired"] == ["Weather/sky/now"]
    # An older night screened again does not count what came after it, either.
    assert nights.screen("2025-01-01", screening={"calls": 5})["now"].failed_nights == 2


def test_a_night_in_which_nothing_is_found_out_changes_nothing(nights: Nights, host: Host) -> None:
    host.status = 500
    nights.screen("2025-01-01")
    nights.screen("2025-01-02")
    verdict = nights.screen("2025-01-03", apis={"hosts": {}})["now"]
    assert (verdict.verdict, verdict.reason, verdict.failed_nights) == ("unknown", "not_allowed", 2)
    assert verdict.retired
    assert "apis.hosts does not name sky.example.org" in verdict.evidence


@pytest.mark.parametrize(
    ("verdict", "failed", "expected"),
    [
        ("dead", 0, (1, False)),
        ("unauthorised", 1, (2, False)),
        ("slow", 2, (3, True)),
        ("low_quality", 7, (8, True)),
        ("working", 7, (0, False)),
        ("rate_limited", 7, (0, False)),
        ("unknown", 2, (2, False)),
        ("unknown", 3, (3, True)),
        ("unsuitable", 0, (0, True)),
    ],
)
def test_what_a_verdict_does_to_the_count(verdict: Any, failed: int, expected: tuple[int, bool]) -> None:
    assert after(verdict, failed, 3) == expected


def test_without_a_documented_value_nothing_is_asked(nights: Nights, host: Host) -> None:
    verdict = nights.screen("2025-01-01")["later"]
    assert (verdict.verdict, verdict.reason, verdict.calls) == ("unknown", "no_documented_value", 0)
    assert json.loads(verdict.evidence) == {"rule": "no_documented_value", "text": "city"}
    assert host.asked == 1, "the other API, once: it has one set of arguments"


def test_rows_are_the_same_to_the_byte_after_a_replay(nights: Nights, host: Host) -> None:
    nights.screen("2025-01-01")
    before, asked = written(nights.lake), host.asked
    forget(nights.lake, *nights.specs)
    for spec in nights.specs:
        asyncio.run(screening.screen(nights.lake, spec, nights.settings, lambda: None))
    assert written(nights.lake) == before
    assert host.asked == asked


def test_the_evidence_has_what_was_sent_and_what_came_back(nights: Nights, host: Host) -> None:
    host.body = json.dumps({"sky": "x" * 5000})
    verdict = nights.screen("2025-01-01")["now"]
    (call,) = json.loads(verdict.evidence)
    assert call["arguments"] == {"city": "Oslo"}
    assert (call["status"], call["source"], call["error"]) == (0, "live", "")
    assert call["seconds"] == verdict.p95
    assert len(call["response"]) == 1001
    assert verdict.night == "2025-01-01"


def test_a_night_that_is_no_date_and_rules_that_changed_are_said(nights: Nights, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'soon' is no date"):
        nights.screen("soon")
    nights.screen("2025-01-01")
    mine = tmp_path / "mine.toml"
    mine.write_text(screening.shipped_rules().replace("pass = []", 'pass = ["a/b"]'))
    changed = nights.settings.with_(screening={"rules": str(mine)})
    with pytest.raises(UsageError, match=r"mine\.toml are not those that .* was planned with"):
        asyncio.run(screening.screen(nights.lake, nights.specs[0], changed, lambda: None))


def recorded(folder: Path, calls: dict[str, Any]) -> str:
    """A folder of recorded responses for `now` of `Sky`."""
    path = folder / "cache" / "Weather" / "sky_for_Weather" / "now.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({key: {"error": "", "response": value} for key, value in calls.items()}))
    return str(folder / "cache")


def test_recorded_calls_are_spread_over_the_file_and_spare_the_host(nights: Nights, host: Host, tmp_path: Path) -> None:
    source = recorded(tmp_path, {str({"city": str(n)}): {"n": n} for n in range(10)})
    nights.settings = nights.settings.with_(catalogue={"responses": source}, screening={"calls": 2})
    verdict = nights.screen("2025-01-01")["now"]
    calls = json.loads(verdict.evidence)
    assert [call["arguments"] for call in calls] == [{"city": "0"}, {"city": "5"}]
    assert {call["source"] for call in calls} == {"recorded"}
    assert (verdict.verdict, verdict.p95, host.asked) == ("working", None, 0)


def test_live_calls_come_first_where_the_chain_says_so(nights: Nights, host: Host, tmp_path: Path) -> None:
    source = recorded(tmp_path, {"{}": {}})
    nights.settings = nights.settings.with_(catalogue={"responses": source}, apis={"chain": ("live", "recorded")})
    assert nights.screen("2025-01-01")["now"].verdict == "working"
    assert host.asked == 1
    verdict = nights.screen("2025-01-02", apis={"hosts": {}})["now"]
    assert (verdict.verdict, verdict.reason) == ("low_quality", "empty"), "nobody else could be asked"


def test_a_simulated_answer_says_nothing(nights: Nights, host: Host) -> None:
    verdicts = nights.screen("2025-01-01", apis={"chain": ("simulated",)})
    assert {v.verdict for v in verdicts.values()} == {"unknown"}
    assert host.asked == 0


def test_the_tools_of_one_shard_stay_whole(lake: Lake) -> None:
    apis = [an_api(f"T{tool}", f"a{n:02d}") for tool in range(3) for n in range(15)]
    settings = Settings(lake=lake.uri, apis={"chain": ("live",)}, work={"shard_size": 1})
    nights = Nights(lake, apis, settings)
    verdicts = list(nights.screen("2025-01-01"))
    assert [len(spec.records) for spec in nights.specs] == [15, 15, 15]
    assert sum(len(spec.records) for spec in nights.specs) == nights.view.rows("verdicts") == 45 >= len(verdicts)


def test_unsuitable_apis_are_not_called(lake: Lake, host: Host) -> None:
    server = Server(host)
    apis = [an_api("Test", "test", parameters=[CITY])]
    settings = Settings(lake=lake.uri, apis={"hosts": {"test.example.org": server.url}})
    verdict = Nights(lake, apis, settings).screen("2025-01-01")["test"]
    server.stop()
    assert (verdict.verdict, verdict.reason, verdict.retired, verdict.calls) == ("unsuitable", "junk", True, 0)
    assert host.asked == 0
