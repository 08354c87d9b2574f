import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workshop import Server, an_api

from toolbench.apis.chain import Chain
from toolbench.apis.server import ToolServer
from toolbench.apis.serving import PATHS, create_app
from toolbench.apis.wording import ERRORS
from toolbench.cli.apis import finder
from toolbench.errors import TransientError
from toolbench.records import Api, Parameter, Response
from toolbench.settings import ApiSettings

PARAMETERS = [
    Parameter(name="city", shown_as="city", type="string", required=True),
    Parameter(name="from", shown_as="is_from", type="string", required=False),
]
SUN = an_api("Sun & Moon", "Rise!", id="Weather/sun_moon/rise", category="Weather", parameters=PARAMETERS)
FROM = an_api("Sun & Moon", "from", id="Weather/sun_moon/from", category="Weather", parameters=[])
LONG = {"text": "x" * 3000}


class Behind:
    """What answers behind the chain."""

    def __init__(self) -> None:
        self.answer: Response | Exception = Response()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.closed = False

    async def call(self, api: Api, arguments: dict[str, Any]) -> Response | None:
        self.calls.append((api.id, arguments))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        self.closed = True


def shorten(api: Api, value: Any) -> Any:
    return {"short": [api.name, len(json.dumps(value))]}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Behind, str]]:
    behind = Behind()
    server = Server(create_app(Chain([behind]), [SUN, FROM], finder([SUN, FROM]), key="k3y", shorten=shorten))
    yield behind, server.url
    server.stop()
    assert behind.closed


@pytest.fixture
def post(served: tuple[Behind, str]) -> Callable[..., httpx.Response]:
    behind, url = served
    behind.answer, behind.calls = Response(response={"at": "06:12"}, source="live"), []

    def send(path: str = "/virtual", **fields: Any) -> httpx.Response:
        body = {
            "category": "Weather", "tool_name": "sun_moon", "api_name": "rise", "tool_input": '{"city": "Oslo"}',
            "strip": "", "toolbench_key": "k3y",
        }  # fmt: skip
        return httpx.post(url + path, content=json.dumps({**body, **fields}))

    return send


@pytest.mark.parametrize("path", PATHS)
def test_a_call_is_answered_with_the_envelope(post: Callable[..., httpx.Response], path: str) -> None:
    answer = post(path)
    assert (answer.status_code, answer.json()) == (200, {"error": "", "response": {"at": "06:12"}})


@pytest.mark.parametrize(
    "names",
    [
        ("Weather", "sun_moon_for_Weather", "rise"),
        ("Weather", "Sun & Moon", "Rise!"),
        ("Weather", "Sun & Moon_for_Weather", "rise"),
        ("Weather", "sun_moon", "is_from"),
        ("Weather", "sun_moon", "from"),
    ],
)
def test_names_are_found_as_those_clients_spell_them(
    served: tuple[Behind, str], post: Callable[..., httpx.Response], names: tuple[str, str, str]
) -> None:
    post(category=names[0], tool_name=names[1], api_name=names[2])
    assert [id_ for id_, _ in served[0].calls] == [FROM.id if "from" in names[2] else SUN.id]


@pytest.mark.parametrize(
    "given_", ['{"city": "Oslo", "from": "x"}', {"city": "Oslo", "is_from": "x"}, '{"is_from": "x", "city": "Oslo"}']
)
def test_arguments_come_as_text_or_object_under_either_name(
    served: tuple[Behind, str], post: Callable[..., httpx.Response], given_: Any
) -> None:
    assert post(tool_input=given_).status_code == 200
    assert served[0].calls == [(SUN.id, {"city": "Oslo", "is_from": "x"})]


@pytest.mark.parametrize("given_", ["{", "nonsense", "[1]", "3", [], 7, True, "[" * 10_000])
def test_tool_input_that_cannot_be_read_is_a_parse_error(
    served: tuple[Behind, str], post: Callable[..., httpx.Response], given_: Any
) -> None:
    answer = post(tool_input=given_)
    assert (answer.status_code, answer.json()) == (200, {"error": "Tool input parse error...\n", "response": ""})
    assert served[0].calls == []


@pytest.mark.parametrize("given_", ["", None, {}, "{}", "null"])
def test_no_tool_input_means_no_arguments(
    served: tuple[Behind, str], post: Callable[..., httpx.Response], given_: Any
) -> None:
    post(api_name="from", tool_input=given_)
    assert served[0].calls == [(FROM.id, {})]
    assert "city" in post(tool_input=given_).json()["response"], "what is missing is named"


@pytest.mark.parametrize("key", ["", "k3", "k3y ", None, 3, "ключ", "\ud83d"])
def test_a_wrong_key_is_refused(served: tuple[Behind, str], post: Callable[..., httpx.Response], key: Any) -> None:
    answer = post(toolbench_key=key)
    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized error...", "response": ""})
    assert served[0].calls == []


def test_an_unknown_api_does_not_work(post: Callable[..., httpx.Response]) -> None:
    assert post(api_name="set").json()["error"] == "API not working error..."
    assert post(category="../..", tool_name="").json()["error"] == "API not working error..."


@pytest.mark.parametrize("status", sorted(set(ERRORS) - {1}))
def test_errors_are_in_their_words_with_ours_behind(
    served: tuple[Behind, str], post: Callable[..., httpx.Response], status: int
) -> None:
    served[0].answer = Response(error="HTTP 404: not found", status=status, source="live")
    assert post().json() == {"error": ERRORS[status], "response": "HTTP 404: not found"}


def test_recorded_envelopes_stay_as_they_came(served: tuple[Behind, str], post: Callable[..., httpx.Response]) -> None:
    served[0].answer = Response(error="own words", response={"a": 1}, status=11, source="recorded")
    assert post().json() == {"error": "own words", "response": {"a": 1}}


def test_strip_cuts_or_reduces_or_leaves(served: tuple[Behind, str], post: Callable[..., httpx.Response]) -> None:
    served[0].answer = Response(response=LONG, source="live")
    assert post(strip="").json()["response"] == LONG
    assert post(strip="truncate").json()["response"] == json.dumps(LONG)[:2048]
    assert post(strip="filter").json()["response"] == {"short": ["Rise!", len(json.dumps(LONG))]}
    served[0].answer = Response(response={"a": 1}, source="live")
    assert post(strip="truncate").json()["response"] == {"a": 1}


def test_a_failure_behind_it_is_an_answer(served: tuple[Behind, str], post: Callable[..., httpx.Response]) -> None:
    served[0].answer = TransientError("The teacher is away.")
    assert post().json() == {"error": ERRORS[12], "response": "The teacher is away."}


def test_bad_requests_get_an_answer_and_the_next_one_as_well(
    served: tuple[Behind, str], post: Callable[..., httpx.Response]
) -> None:
    url = served[1] + "/virtual"
    for body in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"category": "Weather"}', b"3"):
        answer = httpx.post(url, content=body)
        assert answer.status_code == 422
        assert answer.json()["detail"][-1]["msg"] == "field required"
    assert httpx.post(url, content=b"x" * 1_000_001).status_code == 413
    assert httpx.get(url).status_code == 405
    served[0].answer = Response(response="half a pair \ud83d", source="live")
    assert post().json()["response"] == "half a pair \ud83d"
    served[0].answer = RuntimeError("a bug")
    assert post().status_code == 500
    served[0].answer = Response(response=1)
    assert post().json() == {"error": "", "response": 1}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["category", "tool_name", "api_name", "tool_input", "strip"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(fields, json_values, max_size=3))
def test_any_body_is_answered_with_an_envelope(served: tuple[Behind, str], changed: dict[str, Any]) -> None:
    served[0].answer = Response(response=1)
    body = {
        "category": "Weather", "tool_name": "sun_moon", "api_name": "rise", "tool_input": {"city": "Oslo"},
        "strip": "", "toolbench_key": "k3y", **changed,
    }  # fmt: skip
    answer = httpx.post(served[1] + "/virtual", content=json.dumps(body))
    assert answer.status_code == 200
    assert set(answer.json()) == {"error", "response"}


def test_the_index_names_every_api(served: tuple[Behind, str]) -> None:
    assert httpx.get(served[1] + "/health").json() == {"status": "ok", "apis": 2}
    assert httpx.get(served[1] + "/apis").json()[0] == {
        "category": "Weather", "tool_name": "sun_moon", "api_name": "rise", "function": SUN.function,
    }  # fmt: skip


@pytest.mark.parametrize("status", [0, *sorted(set(ERRORS) - {1})])
def test_our_own_source_understands_our_own_server(served: tuple[Behind, str], status: int) -> None:
    behind, url = served
    behind.calls = []
    behind.answer = Response(error="why" if status else "", response={"n": [1]}, status=status, source="live")

    async def ask() -> Response | None:
        caller = ToolServer(ApiSettings(**{"server_url": f"{url}/virtual", "server_key": "k3y"}))
        found = await caller.call(SUN, {"city": "Oslo", "is_from": "x"})
        await caller.close()
        return found

    found = asyncio.run(ask())
    assert behind.calls == [(SUN.id, {"city": "Oslo", "is_from": "x"})]
    assert found is not None
    assert (found.status, found.error, found.source) == (status, ERRORS[status] if status else "", "server")
    assert found.response == ("why" if status else {"n": [1]})
