"""What an untrusted catalogue, or an untrusted name server, may try: nothing of it reaches an address of our own."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_host import PUBLIC, Detour, Host, Names, api, ask, parameter, serving

from toolbench.apis.failure import Refused
from toolbench.apis.guard import objection
from toolbench.apis.hosts import Hosts
from toolbench.apis.live import Live
from toolbench.apis.names import climbs, hostname, place
from toolbench.errors import UsageError
from toolbench.settings import ApiSettings

OTHER = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as server:
        yield server


HTTP = {"http": True}
ALLOWED: dict[str, Any] = {"api.example.com": HTTP, "*.example.org": HTTP, "api.example.com:8080": HTTP}

TRICKS = [
    # addresses of our own, plainly and in every odd spelling
    "http://127.0.0.1/", "http://localhost/", "http://localhost./", "http://LOCALHOST/", "http://127.1/",
    "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://017700000001/",
    "http://127.0.0.1./", "http://0/", "http://0.0.0.0/", "http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/",
    "http://[0:0:0:0:0:ffff:7f00:1]/", "http://[::127.0.0.1]/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/",
    "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/",
    "http://１２７.0.0.1/", "http://%31%32%37.0.0.1/", "http://loc%61lhost/", "http://ｌocalhost/",
    "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://metadata.google.internal/",
    "http://10.0.0.1/", "http://192.168.1.1/", "http://100.64.0.1/", "http://224.0.0.1/", "http://255.255.255.255/",
    # two readers, two hosts
    "http://api.example.com@127.0.0.1/", "http://127.0.0.1@api.example.com/", "http://a:b@api.example.com/",
    "http://api.example.com:80@127.0.0.1/", "http://api.example.com\\@127.0.0.1/", "http://127.0.0.1\\@api.example.com/",
    "http://127.0.0.1\\.example.org/", "http://127.0.0.1#@api.example.com/", "http://127.0.0.1?@api.example.com/",
    "http://127.0.0.1#.example.org/", "http://127.0.0.1/.example.org/", "http://api.example.com%00.evil.com/",
    "http://api.example.com%2eevil.com/", "http://api.example.com\t.evil.com/", "http://api.exam\nple.com/",
    "http://api.example.com\x00@127.0.0.1/", "http:///127.0.0.1/", "http:127.0.0.1/", "http:/\\127.0.0.1/",
    # names that only look allowed
    "http://api.example.com.evil.com/", "http://evil-example.org/", "http://example.org/", "http://.example.org/",
    "http://a..example.org/", "http://api.example.com../", "http://api.exаmple.com/", "http://xn--pi-7ka.example.com/",
    # other ports, other schemes, other places on the same host
    "http://api.example.com:22/", "http://api.example.com:8081/", "http://api.example.com:99999/",
    "http://api.example.com:-1/", "http://api.example.com:８０/", "ftp://api.example.com/", "file:///etc/passwd",
    "gopher://api.example.com/", "javascript:alert(1)", "//api.example.com/", "api.example.com", "",
    "http://{host}/", "http://api.example.com/a/../b", "http://api.example.com/%2e%2e/b",
]  # fmt: skip


@pytest.mark.parametrize("url", TRICKS)
def test_a_trick_reaches_nobody(url: str) -> None:
    network, names = Detour(), Names()
    assert ask({"hosts": ALLOWED}, api(url=url), resolve=names, network=network) is None
    assert (network.connected, names.asked) == ([], [])


@pytest.mark.parametrize(
    "url", ["http://api.example.com/", "http://API.example.com./", "http://ａpi.example。com:80/",
            "http://api.example.com:8080/", "http://x.y.example.org/", "https://api.example.com/"]
)  # fmt: skip
def test_what_is_named_is_reached_in_any_harmless_spelling(host: Host, url: str) -> None:
    network, names = Detour(host), Names(api_example_com=[[PUBLIC]], x_y_example_org=[[PUBLIC]])
    ask({"hosts": ALLOWED, "retries": 0}, api(url=url), resolve=names, network=network)
    assert network.connected == [PUBLIC]


PRIVATE_ADDRESSES = [
    "127.0.0.1", "127.255.1.2", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
    "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:a00:1::1", "2001:db8::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", "100::1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
@pytest.mark.parametrize("others", [[], [PUBLIC]])
def test_a_name_that_leads_inside_is_not_connected_to(address: str, others: list[str]) -> None:
    network, names = Detour(), Names(api_example_com=[[*others, address]])
    response = ask({"hosts": ALLOWED}, api(url="http://api.example.com/"), resolve=names, network=network)
    assert response is not None
    assert (response.status, network.connected) == (12, [])
    assert response.error == "Not sent: api.example.com leads to an address that is not public"


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", OTHER, "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"])
def test_a_public_address_is_public(address: str) -> None:
    assert objection(address) == ""


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_like_itself(address: Any) -> None:
    number = int(address)
    for inner in (f"::ffff:{address}", f"64:ff9b::{address}", f"2002:{number >> 16:x}:{number & 65535:x}::"):
        assert objection(inner) == objection(str(address))


@pytest.mark.parametrize("name", ["127.0.0.1", "[::1]", "::1", "[::ffff:127.0.0.1]", "localhost", "localhost."])
def test_a_name_without_private_stays_private(name: str) -> None:
    network = Detour()
    settings = {"hosts": {name: HTTP}}
    url = f"http://{f'[{name}]' if name == '::1' else name}/"
    response = ask(settings, api(url=url), resolve=Names(), network=network)
    assert response is None or response.status == 12
    assert network.connected == []
    settings = {"hosts": {name: {"http": True, "private": True}}, "retries": 0}
    assert ask(settings, api(url=url), resolve=Names(), network=network) is not None
    assert len(network.connected) == 1


def test_a_name_in_other_letters_is_asked_for_in_ascii(host: Host) -> None:
    network, names = Detour(host), Names(**{"xn--bcher-kva_example_com": [[PUBLIC]]})
    settings = {"hosts": {"*.Example.com": HTTP}}
    response = ask(settings, api(url="http://Bücher.example.com/x"), resolve=names, network=network)
    assert response is not None
    assert response.status == 0
    assert host.seen[0][2]["host"] == "xn--bcher-kva.example.com"


def test_an_answer_that_changes_between_check_and_connection_changes_nothing(host: Host) -> None:
    network, names = Detour(host), Names(api_example_com=[[PUBLIC], ["127.0.0.1"]])
    response = ask({"hosts": ALLOWED}, api(url="http://api.example.com/x"), resolve=names, network=network)
    assert response is not None
    assert response.response == {"ok": True}
    assert (names.asked, network.connected) == (["api.example.com"], [PUBLIC])
    assert host.seen[0][2]["host"] == "api.example.com"


def test_every_new_connection_is_checked_again(host: Host) -> None:
    host.says(b"{}", Connection="close")
    network, names = Detour(host), Names(api_example_com=[[PUBLIC], ["10.0.0.1"]])

    async def scenario() -> list[int]:
        live = Live(ApiSettings(**{"hosts": ALLOWED}), resolve=names, network=network)
        answers = [await live.call(api(url="http://api.example.com/"), {}) for _ in range(2)]
        await live.close()
        return [a.status for a in answers if a]

    assert asyncio.run(scenario()) == [0, 12]
    assert network.connected == [PUBLIC]


def test_the_next_address_is_tried_where_one_is_dead(host: Host) -> None:
    network, names = Detour(host, dead=(OTHER,)), Names(api_example_com=[[OTHER, PUBLIC]])
    response = ask({"hosts": ALLOWED}, api(url="http://api.example.com/"), resolve=names, network=network)
    assert response is not None
    assert response.status == 0
    assert network.connected == [OTHER, PUBLIC]


def test_connect_opens_one_address_and_no_name(host: Host) -> None:
    inside = {"api.example.com": {"connect": "http://inside.example.net:8000"}}
    names = Names(inside_example_net=[["10.0.0.1"]])
    network = Detour(host)
    response = ask({"hosts": inside}, api(), resolve=names, network=network)
    assert response is not None
    assert (response.status, network.connected) == (12, [])
    inside["api.example.com"]["private"] = True  # type: ignore[assignment]
    response = ask({"hosts": inside}, api(), resolve=names, network=network)
    assert response is not None
    assert (response.status, network.connected) == (0, ["10.0.0.1"])
    # The address behind one name is not open to others.
    network = Detour(host)
    settings = {"hosts": {"api.example.com": "http://127.0.0.1:8000", "*.example.org": HTTP}}
    for url in ("http://127.0.0.1:8000/", "https://127.0.0.1:8000/", "http://localhost:8000/"):
        assert ask(settings, api(url=url), resolve=names, network=network) is None
    response = ask(settings, api(url="http://x.example.org/"), resolve=names, network=network)
    assert response is not None
    assert (response.status, network.connected) == (12, [])


REDIRECTS = [
    ("http://169.254.169.254/latest/meta-data/iam", "169.254.169.254"), ("http://localhost/x", "localhost"),
    ("http://localhost./x", "localhost"), ("http://evil.com/x", "evil.com"), ("//evil.com/x", "evil.com"),
    ("http://api.example.com:8081/x", "api.example.com:8081"), ("http://api.example.com@evil.com/", "user name"),
    ("http://2130706433/", "odd spelling"), ("http://[::1]/", "[::1]"), ("file:///etc/passwd", "https://"),
    ("http://api.example.com/a/%2e%2e/b", "dot segment"), ("http://[broken", "URL"), ("http://a b/", "host name"),
]  # fmt: skip


@pytest.mark.parametrize(("location", "told"), REDIRECTS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_elsewhere_is_not_followed(host: Host, location: str, told: str, status: int) -> None:
    host.says(b"", status, Location=location)
    network, names = Detour(host), Names(api_example_com=[[PUBLIC]])
    response = ask({"hosts": ALLOWED}, api(url="http://api.example.com/x"), resolve=names, network=network)
    assert response is not None
    assert response.status == 6
    assert "the redirect is not followed" in response.error
    assert told in response.error
    assert (network.connected, len(host.seen), names.asked) == ([PUBLIC], 1, ["api.example.com"])


def test_a_redirect_to_a_named_host_that_leads_inside_is_not_followed(host: Host) -> None:
    host.says(b"", 302, Location="http://a.example.org/x")
    network, names = Detour(host), Names(api_example_com=[[PUBLIC]], a_example_org=[["169.254.169.254"]])
    response = ask({"hosts": ALLOWED}, api(url="http://api.example.com/x"), resolve=names, network=network)
    assert response is not None
    assert response.status == 12
    assert "a.example.org" in response.error
    assert (network.connected, len(host.seen)) == ([PUBLIC], 1)


def test_redirects_between_named_hosts_are_followed_up_to_the_limit(host: Host) -> None:
    def hop(seen: Any) -> Any:
        number = int(seen[1].rpartition("/")[2])
        if number == 0:
            return 200, {}, b'"there"'
        place = "" if number % 2 else "http://" + ("a.example.org" if number % 4 else "api.example.com")
        return 302, {"Location": f"{place}/{number - 1}"}, b""

    host.answer = hop
    names = Names(api_example_com=[[PUBLIC]], a_example_org=[[PUBLIC]])
    for count, expected in ((3, 0), (4, 6)):
        url = f"http://api.example.com/x/{count}"
        response = ask({"hosts": ALLOWED, "rate_per_host": 0}, api(url=url), resolve=names, network=Detour(host))
        assert response is not None
        assert response.status == expected
    assert response is not None
    assert response.error == "HTTP 302: redirected more than 3 times"


def test_a_post_is_not_redirected(host: Host) -> None:
    host.says(b"{}", 307, Location="/y")
    what = api(url="http://api.example.com/x", method="POST")
    settings = {"hosts": ALLOWED, "methods": ("POST",)}
    response = ask(settings, what, resolve=Names(api_example_com=[[PUBLIC]]), network=Detour(host))
    assert response is not None
    assert (response.status, len(host.seen)) == (6, 1)


def test_a_credential_does_not_travel_to_another_host(host: Host) -> None:
    host.answer = lambda seen: (
        (302, {"Location": "http://a.example.org/y?from=x"}, b"") if seen[1].startswith("/x") else (200, {}, b"{}")
    )
    what = api(
        parameter("Key", "header", secret=True), parameter("sid", "cookie", secret=True), parameter("X-Mode", "header"),
        parameter("token", secret=True), url="http://api.example.com/x",
    )  # fmt: skip
    secrets = {"api.example.com": {"key": "first-key", "sid": "first-sid", "token": "first-token"}}
    names = Names(api_example_com=[[PUBLIC]], a_example_org=[[PUBLIC]])
    settings: dict[str, Any] = {"hosts": ALLOWED, "secrets": secrets}
    ask(settings, what, {"X-Mode": "fast"}, resolve=names, network=Detour(host))
    first, second = host.seen
    assert all(s in str(first) for s in ("first-key", "first-sid", "first-token", "fast"))
    assert "first-" not in str(second)
    assert "fast" not in str(second)
    # The other host gets what is its own.
    secrets["a.example.org"] = {"Key": "second-key"}
    host.seen.clear()
    host.answer = lambda seen: (
        (302, {"Location": "http://a.example.org/y"}, b"")
        if seen[1].startswith("/x")
        else (200, {}, json.dumps(seen[2]).encode())
    )
    response = ask(settings, what, resolve=names, network=Detour(host))
    assert "first-" not in str(host.seen[1])
    assert host.seen[1][2]["key"] == "second-key"
    assert response is not None
    assert response.response["key"] == "(secret)"
    # A redirect that carries the credential along is not followed.
    host.answer = lambda seen: (302, {"Location": "http://a.example.org/y?stolen=first%2Dtoken&k=first-key"}, b"")
    response = ask(settings, what, resolve=names, network=Detour(host))
    assert response is not None
    assert "carries a credential to a.example.org" in response.error
    assert len(host.seen) == 3


def test_arguments_do_not_travel_to_another_host_at_any_hop(host: Host) -> None:
    hops = {"/x": "http://a.example.org/1", "/1": "/2", "/2": "http://api.example.com/back"}
    host.answer = lambda seen: (302, {"Location": hops[seen[1]]}, b"") if seen[1] in hops else (200, {}, b"{}")
    what = api(parameter("X-Mode", "header"), parameter("sid", "cookie"), url="http://api.example.com/x")
    names = Names(api_example_com=[[PUBLIC]], a_example_org=[[PUBLIC]])
    ask({"hosts": ALLOWED}, what, {"X-Mode": "fast", "sid": "fast"}, resolve=names, network=Detour(host))
    told = [(seen[2]["host"], seen[1], str(seen[2]).count("fast")) for seen in host.seen]
    assert told == [
        ("api.example.com", "/x", 2), ("a.example.org", "/1", 0), ("a.example.org", "/2", 0),
        ("api.example.com", "/back", 2),
    ]  # fmt: skip


def test_a_credential_stays_on_the_same_host(host: Host) -> None:
    host.answer = lambda seen: (302, {"Location": "/y?q=1"}, b"") if seen[1].startswith("/x") else (200, {}, b"{}")
    what = api(parameter("Key", "header", secret=True), parameter("X-Mode", "header"), url="https://api.example.com/x")
    settings = {"hosts": {"api.example.com": host.base}, "secrets": {"*.example.com": {"key": "the-key"}}}
    ask(settings, what, {"X-Mode": "fast"})
    assert [(s[1], s[2]["key"], s[2]["x-mode"]) for s in host.seen] == [
        ("/x", "the-key", "fast"), ("/y?q=1", "the-key", "fast"),
    ]  # fmt: skip


def test_the_most_specific_rule_applies() -> None:
    rules = {
        "*.example.org": {"http": True}, "*.b.example.org": {"http": False}, "a.b.example.org": {"http": True},
        "a.b.example.org:8080": {"private": True}, "*.c.example.org:8443": {},
    }  # fmt: skip
    secrets = {"*.example.org": {"k": "1", "m": "1"}, "a.b.example.org": {"k": "2", "n": ""}}
    hosts = Hosts(ApiSettings(hosts=rules, secrets=secrets))
    assert hosts.target("http://a.b.example.org/", "GET").secrets == {"k": "2", "m": "1"}
    assert hosts.target("http://x.example.org/", "get").secrets == {"k": "1", "m": "1"}
    assert hosts.target("https://x.c.example.org:8443/", "GET").place.port == 8443
    for url, reason in (
        ("http://x.b.example.org/", "http only"), ("http://a.b.example.org:8080/", "http only"),
        ("https://x.b.example.org:8080/", "unknown host"), ("https://x.c.example.org:8444/", "unknown host"),
    ):  # fmt: skip
        with pytest.raises(Refused) as caught:
            hosts.target(url, "GET")
        assert caught.value.code == reason
    with pytest.raises(Refused, match="POST is not allowed: add it to methods"):
        hosts.target("https://x.example.org/", "POST")


@pytest.mark.parametrize(
    "hosts", [{"https://api.example.com": ""}, {"a b": ""}, {"": ""}, {"2130706433": ""}, {"*": ""},
              {"api.example.com": "ftp://x"}, {"api.example.com/x": ""}]
)  # fmt: skip
def test_a_setting_that_names_no_host_is_a_usage_error(hosts: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"Setting apis\.hosts"):
        Hosts(ApiSettings(hosts=hosts))


@given(st.text(max_size=60) | st.from_regex(r"https?://[^\n]{0,40}", fullmatch=True))
def test_any_text_is_a_place_or_refused(url: str) -> None:
    try:
        found = place(url)
    except Refused:
        return
    assert hostname(f"[{found.host}]" if ":" in found.host else found.host) == found.host
    assert not climbs(found.path)
    again = place(found.url + found.path + (f"?{found.query}" if found.query else ""))
    assert (again.host, again.port, again.scheme) == (found.host, found.port, found.scheme)
