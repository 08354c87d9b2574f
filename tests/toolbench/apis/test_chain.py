import asyncio
from pathlib import Path
from typing import Any

import pytest

from toolbench.apis import Chain, identity, open_chain, sources
from toolbench.apis.recorded import Recorded
from toolbench.errors import SourceError, UsageError
from toolbench.records import Api, Parameter, Response
from toolbench.settings import Settings


class Scripted:
    def __init__(self, response: Response | None) -> None:
        self.response = response
        self.calls: list[dict[str, Any]] = []
        self.closed = False

    async def call(self, api: Api, arguments: dict[str, Any]) -> Response | None:
        self.calls.append(arguments)
        return self.response

    async def close(self) -> None:
        self.closed = True


def parameter(name: str, required: bool = True, secret: bool = False) -> Parameter:
    return Parameter(name=name, shown_as=f"shown_{name}", type="string", required=required, secret=secret)


def api(*parameters: Parameter) -> Api:
    return Api(
        id="C/t/a", tool_id="", tool="", name="", category="", collections=[], description="", method="GET", url="",
        parameters=list(parameters), function="f", definition="{}", digest="",
    )  # fmt: skip


def ask(arguments: str, *callers: Scripted, what: Api | None = None) -> Response:
    async def scenario() -> Response:
        async with Chain(callers) as chain:
            return await chain.call(what or api(), arguments)

    return asyncio.run(scenario())


def test_the_first_source_with_an_answer_answers() -> None:
    none, first, second = Scripted(None), Scripted(Response(error="no", status=6)), Scripted(Response(response=2))
    assert ask('{"a": 1}', none, first, second) == Response(error="no", status=6)
    assert (none.calls, first.calls, second.calls) == ([{"a": 1}], [{"a": 1}], [])
    assert none.closed
    assert first.closed
    assert second.closed


def test_without_an_answer_sending_failed() -> None:
    response = ask("{}", Scripted(None), Scripted(None))
    assert (response.status, response.source) == (12, "none")
    assert response.error


@pytest.mark.parametrize(
    "arguments",
    ["{", "nonsense", "{'a': 1}", "[" * 100_000, '{"a": NaN}', '{"a": 1e999}', "[]", '"x"', "3", "null", "true"],
)
def test_bad_arguments_are_status_2_and_ask_nobody(arguments: str) -> None:
    caller = Scripted(Response())
    response = ask(arguments, caller)
    assert (response.status, response.source, caller.calls) == (2, "none", [])


def test_empty_arguments_are_an_empty_object() -> None:
    caller = Scripted(Response())
    assert ask("", caller).status == 0
    assert caller.calls == [{}]


def test_missing_required_parameters_are_named() -> None:
    what = api(parameter("a"), parameter("b"), parameter("c", required=False), parameter("key", secret=True))
    caller = Scripted(Response())
    response = ask('{"shown_b": null, "a": 1}', caller, what=what)
    assert response == Response(error="Missing required parameter shown_a", status=2)
    assert caller.calls == []
    assert ask('{"shown_a": 1, "shown_b": 2}', caller, what=what).status == 0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("live", "simulated")),
        ({"catalogue": {"source": "x"}}, ("live", "simulated")),
        ({"catalogue": {"source": "x", "responses": "y"}}, ("recorded", "live", "simulated")),
        ({"apis": {"server_url": "http://a"}}, ("server", "live", "simulated")),
        (
            {"catalogue": {"responses": "y"}, "apis": {"server_url": "http://a"}},
            ("recorded", "server", "live", "simulated"),
        ),
        ({"catalogue": {"source": "x"}, "apis": {"chain": ("simulated",)}}, ("simulated",)),
    ],
)
def test_the_effective_chain(settings: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert sources(Settings(**settings)) == expected


def test_identity_holds_what_decides_the_answers_and_no_more() -> None:
    def of(**settings: Any) -> dict[str, Any]:
        return identity(Settings(**{"catalogue": {"source": "x"}, **settings}))

    assert of() != of(seed=1)
    assert of(apis={"chain": ("simulated",)}) == of(apis={"chain": ("simulated",), "timeout": 9})
    live = {"chain": ("live",), "hosts": {"a": ""}}
    assert of(apis=live) == of(apis=live, seed=1)
    assert of(apis=live) != of(apis=live | {"timeout": 9})
    assert of(apis=live) == of(apis=live | {"retries": 0, "redirects": 0, "rate_per_host": 1.0})
    assert of(apis=live) == of(apis=live | {"max_concurrency": 2, "secrets": {"a": {"key": "x"}}})


def test_a_recording_without_a_required_parameter_still_answers() -> None:
    what = api(parameter("a"))
    recorded = Recorded({"C/t/a": [({"x": 1}, Response(response="then", source="recorded"))]}, "digest")

    async def scenario() -> list[Response]:
        async with Chain([recorded, Scripted(Response(response="now"))]) as chain:
            return [await chain.call(what, arguments) for arguments in ('{"x": 1}', '{"x": 2}', '{"shown_a": 1}')]

    assert [(r.response, r.status) for r in asyncio.run(scenario())] == [("then", 0), ("", 2), ("now", 0)]


def test_identity_names_the_server_without_credentials() -> None:
    def of(url: str, key: str = "") -> dict[str, Any]:
        return identity(Settings(**{"apis": {"chain": ("server",), "server_url": url, "server_key": key}}))

    named = of("http://user:word@tools.example:8080/virtual?token=abc", "k3y")
    assert named["server"] == "http://tools.example:8080/virtual"
    assert named == of("http://tools.example:8080/virtual")
    assert named != of("http://other.example/virtual")
    assert not any(secret in str(named) for secret in ("word", "abc", "k3y"))


def test_identity_of_a_teacher_that_simulates(tmp_path: Path) -> None:
    def of(**settings: Any) -> dict[str, Any]:
        chosen = {"chain": ("simulated",), "simulator": "teacher", **settings.pop("apis", {})}
        return identity(Settings(**{"apis": chosen, **settings}))

    place = tmp_path / "cache" / "C" / "t_for_C"
    place.mkdir(parents=True)
    (place / "a.json").write_text('{"{}": {"error": "", "response": 1}}', encoding="utf-8")
    assert of() == of()
    assert of() != of(apis={"simulator": "rules"})
    assert of() != of(teacher={"model": "other", "base_url": "http://a/v1"})
    assert of() != of(catalogue={"responses": str(tmp_path / "cache")})
    assert of() == of(teacher={"prices": {"offline-teacher": (1.0, 1.0)}})
    assert of(apis={"retries": 0, "redirects": 0}) == of()


@pytest.mark.parametrize("url", ["", "tools.example", "ftp://a", "http://", "http://[", "http://a:99999"])
def test_a_server_url_that_is_none_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match=r"apis\.server_url"):
        open_chain(Settings(**{"apis": {"chain": ("server",), "server_url": url}}))


def test_recorded_without_responses_is_a_source_error() -> None:
    with pytest.raises(SourceError, match="--responses"):
        open_chain(Settings(**{"apis": {"chain": ("recorded",)}}))


def test_unreadable_responses_are_a_source_error() -> None:
    settings = Settings(**{"catalogue": {"source": "x", "responses": "/nowhere/at/all"}})
    with pytest.raises(SourceError, match="/nowhere/at/all"):
        open_chain(settings)
