"""Fetching: which answers are documents, which may be an MCP server's, and where headers go."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from toolbench.catalogue import web
from toolbench.catalogue.drafts import Broken

Pages = dict[str, tuple[int, dict[str, str], bytes]]


@pytest.fixture
def site() -> Iterator[tuple[str, Pages, list[str]]]:
    """A server's URL, its pages, and the Authorization headers it was sent."""
    pages: Pages = {}
    sent: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(self.headers.get("Authorization", ""))
            status, headers, body = pages.get(self.path, (404, {}, b""))
            self.send_response(status)
            for header in headers.items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", pages, sent
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "maybe"), [(400, True), (404, True), (405, True), (406, True), (415, True), (401, False), (500, False)]
)
def test_statuses_that_an_mcp_server_answers_a_get_with(
    status: int, maybe: bool, site: tuple[str, Pages, list[str]]
) -> None:
    url, pages, _ = site
    pages["/"] = (status, {}, b"no")
    with pytest.raises(web.NoDocument, match=f"HTTP status {status}") as raised:
        web.fetch(f"{url}/")
    assert raised.value.maybe_mcp is maybe


def test_a_stream_of_events_is_not_waited_for(site: tuple[str, Pages, list[str]]) -> None:
    url, pages, _ = site
    pages["/"] = (200, {"content-type": "text/event-stream; charset=utf-8"}, b": ping\n\n")
    with pytest.raises(web.NoDocument, match="stream of events") as raised:
        web.fetch(f"{url}/")
    assert raised.value.maybe_mcp


def test_headers_follow_redirects_on_the_same_host_and_no_others(site: tuple[str, Pages, list[str]]) -> None:
    url, pages, sent = site
    pages["/moved"] = (302, {"location": "/here"}, b"")
    pages["/here"] = (200, {}, b"{}")
    pages["/away"] = (302, {"location": f"http://localhost:{url.rpartition(':')[2]}/here"}, b"")
    assert web.fetch(f"{url}/moved", {"Authorization": "sesame"}) == b"{}"
    assert sent == ["sesame", "sesame"]
    with pytest.raises(Broken, match="leads away"):
        web.fetch(f"{url}/away", {"Authorization": "sesame"})
    assert sent == ["sesame"] * 3


@pytest.mark.parametrize("headers", [{"X\r\nY": "1"}, {"X": "1\r\nY: 2"}, {"X": "ü\ud800"}, {"": "x"}])
def test_headers_that_are_none_are_refused(headers: dict[str, str], site: tuple[str, Pages, list[str]]) -> None:
    with pytest.raises(Broken, match="cannot be reached"):
        web.fetch(site[0], headers)


@pytest.mark.parametrize("url", ["http://[::1", "http://a b/", "http://127.0.0.1:99999/", "http://\ud800/"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(Broken):
        web.fetch(url)
    assert "sesame" not in web.without_credentials(url.replace("http://", "http://u:sesame@"))
