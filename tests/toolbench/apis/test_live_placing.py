"""Where arguments go, and where they cannot."""

import asyncio
import json
from collections.abc import Iterator
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_host import PUBLIC, Detour, Host, Names, api, ask, call, parameter, serving

from toolbench.apis.failure import Failed
from toolbench.apis.hosts import Hosts
from toolbench.apis.live import Live
from toolbench.apis.names import climbs
from toolbench.apis.placing import BadArguments, placed
from toolbench.records import Response
from toolbench.settings import ApiSettings


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as server:
        yield server


def answered(response: Response | None) -> Response:
    assert response is not None
    return response


CLIMBING = [
    "..", ".", "../x", "a/../b", "a/..", "..\\x", "a\\..\\b", "%2e%2e", "%2E.", "..%2fx", "%252e%252e%252fx", "..;/x",
    "..;a=b", "a/..%00/b", " ..", "%25252e%25252e",
]  # fmt: skip


@pytest.mark.parametrize("value", CLIMBING)
def test_no_spelling_of_a_dot_segment_gets_into_a_path(host: Host, value: str) -> None:
    response = answered(call(host, api(parameter("id", "path"), url="https://api.example.com/u/{id}/x"), {"id": value}))
    assert (response.status, host.seen) == (2, [])
    assert "dot segment" in response.error


def test_two_values_cannot_make_a_dot_segment_together(host: Host) -> None:
    what = api(parameter("a", "path"), parameter("b", "path"), url="https://api.example.com/u/{a}{b}/x")
    response = answered(call(host, what, {"a": "%2", "b": "e."}))
    assert (response.status, host.seen) == (2, [])
    assert "together" in response.error
    assert answered(call(host, what, {"a": "%2", "b": "fx."})).status == 0


@pytest.mark.parametrize("value", ["3.14", "a.b", "...", "a..b", "v1.0..2", "50%", "ü/ö?#&=+ ;:@", "..a"])
def test_other_dots_and_signs_are_sent_as_they_are(host: Host, value: str) -> None:
    call(host, api(parameter("id", "path"), url="https://api.example.com/u/{id}/x"), {"id": value})
    segments = host.seen[0][1].split("/")
    assert (len(segments), unquote(segments[2])) == (4, value)


@given(st.text(max_size=20))
def test_a_path_keeps_its_segments_whatever_the_value(value: str) -> None:
    target = Hosts(ApiSettings(hosts={"api.example.com": ""})).target("https://api.example.com/u/{id}/x", "GET")
    what = api(parameter("id", "path"), url=target.url)
    try:
        request = placed(what, target, {"id": value}).request("GET", target)
    except BadArguments:
        assert climbs(value)
        return
    path = request.url.raw_path.decode()
    assert path.startswith("/u/")
    assert path.endswith("/x")
    assert path.count("/") == 3
    assert not set("?#\\ ") & set(path)
    assert request.url.host == "api.example.com"


def test_a_path_parameter_without_a_value_is_named(host: Host) -> None:
    what = api(parameter("id", "path"), parameter("q"), url="https://api.example.com/u/{id}/{other}?a={q}&b={none}&c=1")
    response = answered(call(host, what, {"q": "x"}))
    assert (response.status, response.error) == (2, "Missing path parameter id")
    response = answered(call(host, what, {"id": 1, "q": "x"}))
    assert (response.status, response.error) == (2, "Missing path parameter other")
    assert host.seen == []


def test_placeholders_in_the_query_are_filled_or_left_out(host: Host) -> None:
    what = api(parameter("a", "path"), parameter("q"), url="https://api.example.com/u?a={a}&b={none}&c=1&q={q}&c=2")
    call(host, what, {"a": "x&y", "q": "z"})
    assert host.seen[0][1] == "/u?a=x%26y&c=1&c=2&q=z"


def test_an_old_path_with_odd_signs_is_quoted(host: Host) -> None:
    call(host, api(url="https://api.example.com/a b/ü/%41/50%"))
    assert host.seen[0][1] == "/a%20b/%C3%BC/%41/50%25"


def test_a_form_is_sent_as_a_form(host: Host) -> None:
    what = api(parameter("a", "form"), parameter("b", "form"), parameter("key", "form", secret=True), method="POST")
    secrets = {"api.example.com": {"key": "k&1"}}
    call(host, what, {"a": "x&y=ü", "b": [1, True]}, methods=("POST",), secrets=secrets)
    _, _, headers, body = host.seen[0]
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(body.decode()) == [("a", "x&y=ü"), ("b", "1"), ("b", "true"), ("key", "k&1")]


def test_fields_of_several_parts_are_sent_as_such(host: Host) -> None:
    what = api(parameter('a"\r\nX: 1', "multipart", "a"), parameter("b", "multipart"), method="POST")
    call(host, what, {"a": "x\r\n--", "b": [1, {"c": "ü"}]}, methods=("POST",))
    _, _, headers, body = host.seen[0]
    kind = headers["content-type"]
    assert kind.startswith("multipart/form-data; boundary=")
    parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).get_payload()
    assert isinstance(parts, list)
    found = [(p.get_param("name", header="content-disposition"), p.get_payload(decode=True)) for p in parts]
    assert found == [("a%22%0D%0AX: 1", b"x\r\n--"), ("b", b"1"), ("b", '{"c": "ü"}'.encode())]
    assert all("X" not in p for p in parts)


@pytest.mark.parametrize("value", [0, False, "", [], {}, None])
def test_a_whole_body_may_be_empty(host: Host, value: Any) -> None:
    call(host, api(parameter("", "body", "body"), method="POST"), {"body": value}, methods=("POST",))
    assert host.seen[0][3] == (b"" if value is None else json.dumps(value).encode())


FORBIDDEN = [
    "Host", "Connection", "Keep-Alive", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Content-Length",
    "Upgrade", "Expect", "HTTP2-Settings", "X-HTTP-Method-Override", "X-Method-Override", "Accept-Encoding",
]  # fmt: skip


@pytest.mark.parametrize("name", FORBIDDEN)
def test_no_parameter_decides_how_a_request_is_framed(host: Host, name: str) -> None:
    for spelled in (name, name.lower(), name.upper()):
        assert answered(call(host, api(parameter(spelled, "header")), {spelled: "evil"})).status == 0
        assert "evil" not in str(host.seen[-1])


@pytest.mark.parametrize(
    "value", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\r\n\r\nGET / HTTP/1.1", "a\x00b", "\x7f", "ü\x1b[1m"]
)
@pytest.mark.parametrize("location", ["header", "cookie"])
def test_a_value_stays_within_its_header(host: Host, value: str, location: str) -> None:
    secrets = {"api.example.com": {"X-Key": value}}
    what = api(parameter("X-Mode", location), parameter("X-Key", location))
    response = answered(call(host, what, {"X-Mode": value}, secrets=secrets))
    assert response.status == 0
    assert len(host.seen) == 1
    assert "x-evil" not in host.seen[0][2]
    assert not {"\r", "\n", "\x00"} & set("".join(host.seen[0][2].values()))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
LOCATIONS = st.sampled_from(["header", "cookie", "query", "path", "body", "form", "multipart"])


@given(st.text(max_size=15), VALUES, LOCATIONS)
@settings(deadline=None)
def test_any_names_and_values_are_sent_or_refused(name: str, value: Any, location: str) -> None:
    target = Hosts(ApiSettings(hosts={"api.example.com": ""})).target("https://api.example.com/x", "GET")
    what = api(parameter(name, location, "shown"))
    try:
        request = placed(what, target, {"shown": value}).request("GET", target)
    except (Failed, BadArguments):
        return
    assert (request.url.host, request.url.scheme) == ("api.example.com", "https")
    assert request.headers["host"] == "api.example.com"
    for key, text in request.headers.raw:
        assert not set(b"\r\n\x00") & set(key + text)
    assert isinstance(request.read(), bytes)


def test_values_nested_too_deeply_are_refused(host: Host) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert answered(call(host, api(parameter("q")), {"q": {"deep": deep}})).status == 2
    assert host.seen == []


def through_rapidapi(host: Host, secrets: dict[str, dict[str, str]], *parameters: Any, **more: Any) -> None:
    what = api(*parameters, url="http://Weather.p.rapidapi.com/now")
    names = Names(weather_p_rapidapi_com=[[PUBLIC]], other_p_rapidapi_com=[[PUBLIC]], evil_example_com=[[PUBLIC]])
    allowed = {"*.p.rapidapi.com": {"http": True}, "evil.example.com": {"http": True}}
    arguments = {p.shown_as: "model" for p in parameters}
    answered(ask({"hosts": allowed, "secrets": secrets, **more}, what, arguments, resolve=names, network=Detour(host)))


def test_rapidapi_gets_its_key_and_the_tool_its_host(host: Host) -> None:
    through_rapidapi(host, {"*.p.rapidapi.com": {"x-rapidapi-key": "the-key"}})
    through_rapidapi(
        host, {"weather.p.rapidapi.com": {"X-RapidAPI-Key": "the-key"}},
        parameter("X-RapidAPI-Key", "header"), parameter("X-RapidAPI-Host", "header"),
    )  # fmt: skip
    for _, _, headers, _ in host.seen:
        assert (headers["x-rapidapi-key"], headers["x-rapidapi-host"]) == ("the-key", "weather.p.rapidapi.com")
        assert headers["host"] == "weather.p.rapidapi.com"


def test_no_key_no_headers_of_rapidapi(host: Host) -> None:
    through_rapidapi(host, {"other.p.rapidapi.com": {"X-RapidAPI-Key": "the-key"}})
    assert not [name for name in host.seen[0][2] if "rapidapi" in name]


def test_rapidapis_key_is_for_rapidapi_alone(host: Host) -> None:
    secrets = {"*.p.rapidapi.com": {"X-RapidAPI-Key": "the-key"}, "*.com": {"X-RapidAPI-Key": "the-key"}}
    for place, expected in (("other.p.rapidapi.com", "other.p.rapidapi.com"), ("evil.example.com", None)):
        host.seen.clear()
        host.answer = lambda seen, place=place: (  # type: ignore[misc]
            (302, {"Location": f"http://{place}/y"}, b"") if seen[1] == "/now" else (200, {}, b"{}")
        )
        through_rapidapi(host, secrets, rate_per_host=0)
        assert host.seen[1][2].get("x-rapidapi-host") == expected
        assert ("the-key" in str(host.seen[1])) == bool(expected)


def test_basic_authorisation_is_sent_as_it_is_given(host: Host) -> None:
    secrets = {"API.example.com": {"authorization": "Basic dXNlcjpwYXNz"}}
    call(host, api(parameter("Authorization", "header", secret=True)), secrets=secrets)
    assert host.seen[0][2]["authorization"] == "Basic dXNlcjpwYXNz"


def test_only_documented_credentials_are_sent_elsewhere(host: Host) -> None:
    call(host, api(), secrets={"api.example.com": {"X-RapidAPI-Key": "the-key", "Authorization": "x"}})
    assert "the-key" not in str(host.seen)
    assert "authorization" not in host.seen[0][2]


def test_the_names_of_headers_may_be_spelled_otherwise_those_of_others_not(host: Host) -> None:
    what = api(parameter("X-KEY", "header", secret=True), parameter("Token", secret=True))
    call(host, what, secrets={"api.example.com": {"x-key": "1", "token": "2"}})
    assert host.seen[0][2]["x-key"] == "1"
    assert "2" not in host.seen[0][1]


def test_calls_of_one_loop_share_connections(host: Host) -> None:
    network = Detour(host)
    host.says(b"{}")

    async def scenario() -> None:
        live = Live(
            ApiSettings(**{"hosts": {"api.example.com": {"http": True}}, "rate_per_host": 0}),
            resolve=Names(api_example_com=[[PUBLIC]]), network=network,
        )  # fmt: skip
        for _ in range(3):
            await live.call(api(url="http://api.example.com/"), {})
        await live.close()

    asyncio.run(scenario())
    assert len(host.seen) == 3
