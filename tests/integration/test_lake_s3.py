"""The lake on real S3 servers: moto in this process, ministack in one of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from toolbench.errors import LakeError
from toolbench.lake import Draft, Journal, Lake, Spec, store
from toolbench.records import RetrievalPair


@pytest.fixture(scope="session")
def ministack_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = Path(sys.executable).with_name("ministack")
    if not program.exists():
        pytest.skip("needs ministack: pip install ministack")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = tmp_path_factory.mktemp("ministack")
    environment = {**os.environ, "GATEWAY_PORT": str(port), "SERVICES": "s3", "TMPDIR": str(place)}
    process = subprocess.Popen(
        [program],
        cwd=place,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        endpoint = f"http://127.0.0.1:{port}"
        for _ in range(150):
            try:
                urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=1).close()  # noqa: S310
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.skip("ministack did not come up within 15 s")
        yield endpoint
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


@pytest.fixture(params=["moto", "ministack"])
def root(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new prefix on each server."""
    import s3fs

    endpoint = request.getfixturevalue("moto_endpoint" if request.param == "moto" else "ministack_endpoint")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    s3fs.S3FileSystem.clear_instance_cache()
    if not s3fs.S3FileSystem().exists("bucket"):
        s3fs.S3FileSystem().mkdir("bucket")
    yield f"s3://bucket/{uuid.uuid4().hex}"
    s3fs.S3FileSystem.clear_instance_cache()


def write(lake: Lake, category: str) -> Draft:
    spec = Spec(stage="p", label="", partition={"category": category}, records=[], content=category, params={})
    row = RetrievalPair(
        id=category, query_id="q", query="?", api_id="a", document="d", group="I1", category=category, collection="",
        split="train", model="m",
    )  # fmt: skip
    lake.put_spec(spec)
    draft = Draft()
    draft.add([lake.finish(spec, {RetrievalPair: [row]}, taken_in=1, passed_on=1)], ("retrieval_pairs",))
    return draft


def test_writers_race_and_nothing_is_lost(root: str) -> None:
    def publish(n: int) -> int:
        lake = Lake(root)
        return lake.publish(write(lake, f"c{n}"), f"writer {n}").number

    with ThreadPoolExecutor(6) as pool:
        numbers = sorted(pool.map(publish, range(6)))
    lake = Lake(root)
    assert numbers == lake.numbers() == list(range(1, 7))
    assert {row.category for row in lake.rows(lake.snapshot(), RetrievalPair)} == {f"c{n}" for n in range(6)}


def test_one_creator_wins(root: str) -> None:
    for key in range(5):
        with ThreadPoolExecutor(6) as pool:
            won = list(pool.map(lambda n, key=key: Lake(root).store.create(f"m/{key}", f"{n}".encode()), range(6)))
        assert sum(won) == 1
        assert Lake(root).store.read(f"m/{key}") == f"{won.index(True)}".encode()


def test_garbage_goes_and_the_rest_stays(root: str) -> None:
    lake = Lake(root)
    lake.publish(write(lake, "one"), "test")
    left = Draft()
    left.put("retrieval_pairs", {"category": "one"}, [])
    lake.publish(left, "test")
    last = lake.publish(write(lake, "two"), "test")
    first_id = lake.id
    assert lake.collect_garbage(1)
    assert Lake(root).id != first_id
    assert [row.id for row in lake.rows(last, RetrievalPair)] == ["two"]
    assert len(lake.store.list("tables")) == 1
    assert lake.numbers() == [3]


def test_a_journal_replays(root: str) -> None:
    asked = 0

    async def outside() -> int:
        nonlocal asked
        asked += 1
        return asked

    async def once() -> list[int]:
        async with Journal(Lake(root), "spec") as journal:
            answers = [await journal.answer("r", "chat", n, outside) for n in range(3)]
            await journal.flush()
            answers += [await journal.answer("r", "chat", n, outside) for n in range(3, 5)]
            await journal.compact()
        return answers

    assert [asyncio.run(once()), asyncio.run(once())] == [[1, 2, 3, 4, 5]] * 2
    assert asked == 5
    assert len(Lake(root).store.list("journals/spec")) == 1


def test_a_bucket_that_is_not_there(root: str) -> None:
    lake = Lake("s3://no-such-bucket/lake")
    assert lake.snapshot().number == 0
    with pytest.raises(LakeError, match="s3://no-such-bucket/lake"):
        write(lake, "one")


def test_a_server_that_is_gone(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setattr(store, "PATIENCE", 0.0)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(LakeError, match=r"Cannot list the lake at .*manifests"):
        Lake(root).snapshot()


def test_a_server_that_is_away_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked while nobody listens is answered when somebody does."""
    import s3fs
    from moto.server import ThreadedMotoServer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name, value in {
        "ACCESS_KEY_ID": "testing",
        "SECRET_ACCESS_KEY": "testing",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    lake = Lake("s3://later/lake")
    with ThreadPoolExecutor(3) as pool:
        asked = [
            pool.submit(lake.store.list, "manifests"),
            pool.submit(lake.store.exists, "lake.json"),
            pool.submit(lake.receipt, "0123456789abcdef"),
        ]
        time.sleep(1)
        assert not any(one.done() for one in asked)
        server.start()
        try:
            assert [one.result(60) for one in asked] == [[], False, None]
        finally:
            server.stop()
            s3fs.S3FileSystem.clear_instance_cache()
