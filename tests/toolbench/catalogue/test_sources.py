"""Sources: what is opened for which word, before anything is read."""

from collections.abc import Mapping

import pytest

from toolbench.catalogue import mcp_commands, mcp_live, web
from toolbench.catalogue.drafts import Broken
from toolbench.catalogue.sources import open_source
from toolbench.errors import SourceError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What MCP servers were asked for; each answers with an empty list."""
    calls: list[tuple[str, ...]] = []

    def of_command(source: str) -> bytes:
        calls.append(("command", source))
        return b"[]"

    def at_address(url: str, headers: Mapping[str, str] | None = None) -> bytes:
        calls.append(("address", url, *(headers or {})))
        return b"[]"

    monkeypatch.setattr(mcp_live, "of_command", of_command)
    monkeypatch.setattr(mcp_live, "at_address", at_address)
    return calls


def test_a_command_is_started_and_shown_without_its_arguments(asked: list[tuple[str, ...]]) -> None:
    source = open_source("stdio:/usr/bin/npx -y server --key sesame")
    assert (source.name, source.alone) == ("stdio:npx", True)
    assert [(d.locator, d.folder, d.content) for d in source.documents] == [("stdio:npx", "", b"[]")]
    assert asked == [("command", "stdio:/usr/bin/npx -y server --key sesame")]


def test_an_address_marked_as_a_server_is_not_fetched_first(asked: list[tuple[str, ...]]) -> None:
    source = open_source("mcp+https://u:sesame@h.example/mcp?key=sesame", {"Authorization": "sesame"})
    assert (source.name, source.alone) == ("mcp+https://h.example/mcp", True)
    assert asked == [("address", "mcp+https://u:sesame@h.example/mcp?key=sesame", "Authorization")]


@pytest.mark.parametrize("maybe", [True, False])
def test_an_address_without_a_document_is_asked_as_a_server_if_it_may_be_one(
    maybe: bool, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(url: str, headers: Mapping[str, str] | None = None) -> bytes:
        raise web.NoDocument("answered oddly", maybe_mcp=maybe)

    monkeypatch.setattr(web, "fetch", fetch)
    if maybe:
        assert open_source("https://h.example/mcp").name == "mcp+https://h.example/mcp"
    else:
        with pytest.raises(SourceError, match=r"^The catalogue URL https://h.example/mcp answered oddly\.$"):
            open_source("https://h.example/mcp")
    assert len(asked) == maybe


def test_an_address_that_cannot_be_reached_is_not_asked_twice(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(url: str, headers: Mapping[str, str] | None = None) -> bytes:
        raise Broken("unreachable", "", "did not answer")

    monkeypatch.setattr(web, "fetch", fetch)
    with pytest.raises(SourceError, match="did not answer"):
        open_source("https://h.example/mcp")
    assert asked == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("stdio:python -m x", "stdio:python"),
        ("stdio:/bin/python '/a b/server.py' --key sesame", "stdio:python server.py"),
        ("stdio:npx -y @scope/server sesame", "stdio:npx @scope/server"),
        ("stdio:", "stdio:"),
        ("stdio:'", "stdio:"),
        ("https://u:p@h.example/mcp?k=1#f", "mcp+https://h.example/mcp"),
        ("mcp+http://h.example", "mcp+http://h.example"),
    ],
)
def test_what_is_shown_of_a_source_holds_no_credentials(source: str, expected: str) -> None:
    assert mcp_commands.shown(source) == expected


def test_labels_tell_commands_apart_whatever_their_keys_are() -> None:
    one, two = "stdio:npx -y weather --api-key {} --to=x", "stdio:npx -y maps --api-key {} --to=x"
    labels = {mcp_commands.label(c.format(key)) for c in (one, two) for key in ("sesame", "other")}
    assert len(labels) == 2
    assert all(name.startswith("stdio:npx-") and "sesame" not in name for name in labels)
    assert mcp_commands.label("mcp+https://u:p@h.example/mcp?k=1") == "mcp+https://h.example/mcp"
