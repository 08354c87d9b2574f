"""The inbox: each version of a document is requested once, all of a category together, by whoever looks first."""

import json
import os
import uuid
from pathlib import Path

import pytest

from toolbench.catalogue import read
from toolbench.catalogue.inbox import Request, requests, sent, strays
from toolbench.catalogue.splits import Holdout
from toolbench.demo import documents
from toolbench.errors import LakeError, SourceError
from toolbench.lake.store import Store

NOW = 2_000_000_000.0
"""Long after the files' own times: all of them have settled."""


@pytest.fixture(params=["file", "memory", "s3"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        request.getfixturevalue("moto_server")
    name = uuid.uuid4().hex
    return Store(
        {"file": str(tmp_path / "lake"), "memory": f"memory://{name}", "s3": f"s3://bucket/{name}"}[request.param]
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "lake"))


def drop(store: Store, *keys: str, content: bytes = b"{}") -> None:
    for key in keys:
        store.write(f"inbox/{key}", content)


def look(store: Store, settle: float = 0.0, now: float = NOW) -> list[Request]:
    return requests(store, settle, now=lambda: now, pause=lambda seconds: None)


def pass_on(store: Store, now: float = NOW) -> list[str]:
    """What a watcher does; gives the categories."""
    found = look(store, now=now)
    for request in found:
        sent(store, request)
    return [request.category for request in found]


def test_a_category_is_requested_once_for_all_its_documents(anywhere: Store) -> None:
    drop(anywhere, "Weather/a.json", "Weather/more/b.yaml", "Night_Life/c.yml")
    first, second = look(anywhere)
    assert (first.category, second.category) == ("Night_Life", "Weather")
    assert list(second.documents) == ["a.json", "more/b.yaml"]
    assert second.source(anywhere) == anywhere.url("inbox/Weather")
    sent(anywhere, first)
    sent(anywhere, second)
    assert look(anywhere) == []


def test_a_new_version_or_a_new_document_is_a_new_request_and_one_that_is_gone_is_none(anywhere: Store) -> None:
    drop(anywhere, "Weather/a.json", "Weather/b.json")
    assert pass_on(anywhere) == ["Weather"]
    drop(anywhere, "Weather/a.json", content=b'{"x": 1}')
    assert pass_on(anywhere) == ["Weather"]
    drop(anywhere, "Weather/c.json")
    assert pass_on(anywhere) == ["Weather"]
    anywhere.delete(["inbox/Weather/b.json"])
    assert pass_on(anywhere) == []
    assert [key for key, _ in anywhere.list("requests")][-1] == "requests/Weather/000003.sent"


def test_touching_a_document_requests_it_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    drop(store, "Weather/a.json")
    assert pass_on(store) == ["Weather"]
    os.utime(tmp_path / "inbox" / "Weather" / "a.json", (1, 1))
    assert pass_on(store) == ["Weather"]


def test_what_is_no_document_of_a_category_is_told_and_left(store: Store) -> None:
    drop(store, "a.json", "Weather/readme.txt", "Weather/.hidden/a.json", "Weather/a.json.part")
    assert look(store) == []
    assert strays(store) == ["inbox/Weather/a.json.part", "inbox/Weather/readme.txt", "inbox/a.json"]


def test_an_empty_lake_has_nothing_to_request(store: Store) -> None:
    assert (look(store), strays(store)) == ([], [])


def test_of_two_who_look_at_once_one_makes_the_request(store: Store) -> None:
    drop(store, "Weather/a.json")
    others: list[Request] = []
    mine = requests(store, 5.0, now=lambda: NOW, pause=lambda seconds: others.extend(look(store)))
    assert ([r.category for r in others], mine) == (["Weather"], [])


def test_a_document_that_is_still_written_is_left_for_the_next_look(store: Store) -> None:
    drop(store, "Weather/a.json", "Finance/a.json")
    found = requests(store, 5.0, now=lambda: NOW, pause=lambda s: drop(store, "Weather/a.json", content=b'{"longer"'))
    assert [r.category for r in found] == ["Finance"]
    assert [r.category for r in look(store)] == ["Weather"]


def test_a_young_document_gets_its_time_to_settle(tmp_path: Path) -> None:
    store, waited = Store(str(tmp_path)), []
    drop(store, "Weather/a.json")
    os.utime(tmp_path / "inbox" / "Weather" / "a.json", (NOW - 3, NOW - 3))
    requests(store, 10.0, now=lambda: NOW, pause=waited.append)
    os.utime(tmp_path / "inbox" / "Weather" / "a.json", (NOW + 99, NOW + 99))
    requests(store, 10.0, now=lambda: NOW, pause=waited.append)
    os.utime(tmp_path / "inbox" / "Weather" / "a.json", (5, 5))
    requests(store, 10.0, now=lambda: NOW, pause=waited.append)
    assert waited == [7.0, 10.0, 1.0]


def test_a_request_that_was_lost_is_passed_on_by_the_next_one_who_looks(store: Store) -> None:
    drop(store, "Weather/a.json")
    (lost,) = look(store)
    assert look(store, now=NOW + 59) == []
    (again,) = look(store, now=NOW + 61)
    assert again == lost, "the same event"
    # What is new meanwhile is requested instead, with everything that lies there.
    drop(store, "Weather/b.json")
    (newer,) = look(store, now=NOW + 61)
    assert (newer.number, list(newer.documents)) == (2, ["a.json", "b.json"])
    sent(store, newer)
    assert look(store, now=NOW + 999) == []


def test_a_request_that_cannot_be_read_is_named(store: Store) -> None:
    drop(store, "Weather/a.json")
    store.write("requests/Weather/000001.json", b"{")
    with pytest.raises(LakeError, match=r"requests/Weather/000001\.json is no request of the inbox: remove it"):
        look(store)


def holdout() -> Holdout:
    return Holdout(0.0, 0.0, ())


@pytest.mark.usefixtures("moto_server")
def test_a_source_on_s3_is_read_as_a_folder_is(hub_documents: Path, tmp_path: Path) -> None:
    store = Store("s3://bucket/inbox/Anything")
    for path in sorted(hub_documents.iterdir()):
        store.write(f"deep/{path.name}", path.read_bytes())
    store.write("notes.txt", b"no document")
    there, here = read(store.uri, holdout=holdout()), read(str(hub_documents), holdout=holdout())
    assert [api.id for api in there.apis] == [api.id for api in here.apis]
    one = read(f"{store.uri}/deep/00.json", holdout=holdout())
    assert {tool.name for tool in one.tools} < {tool.name for tool in there.tools}


@pytest.mark.usefixtures("moto_server")
def test_a_toolenv_on_s3_has_its_folders_as_categories(tmp_path: Path) -> None:
    tool = {"tool_name": "Sky", "tool_description": "x", "home_url": "", "host": "h", "api_list": [
        {"name": "look", "url": "https://sky.test/look", "description": "Looks up.", "method": "GET",
         "required_parameters": [], "optional_parameters": []}]}  # fmt: skip
    Store("s3://bucket/inbox").write("Weather/sky.json", json.dumps(tool).encode())
    for source in ("s3://bucket/inbox/Weather", "s3://bucket/inbox", "s3://bucket/inbox/Weather/sky.json"):
        assert [api.category for api in read(source, holdout=holdout()).apis] == ["Weather"], source


@pytest.mark.usefixtures("moto_server")
def test_a_tarball_on_s3_is_streamed(tmp_path: Path) -> None:
    import io
    import tarfile

    packed, content = io.BytesIO(), json.dumps(documents()[0]).encode()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("openapi/a.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    Store("s3://bucket").write("all.tar.gz", packed.getvalue())
    assert len(read("s3://bucket/all.tar.gz", holdout=holdout()).tools) == 1


@pytest.mark.usefixtures("moto_server")
@pytest.mark.parametrize("source", ["s3://bucket/nothing", "s3://nobody/nothing"])
def test_a_source_on_s3_that_is_not_there_is_said_so(source: str) -> None:
    with pytest.raises(SourceError, match=f"{source} does not exist"):
        read(source, holdout=holdout())


def test_a_source_on_s3_that_cannot_be_reached_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SourceError, match=r"^The catalogue source s3://bucket/x cannot be read: .*connect"):
        read("s3://bucket/x", holdout=holdout())
    s3fs.S3FileSystem.clear_instance_cache()
