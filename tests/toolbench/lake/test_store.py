import errno
import multiprocessing
import os
import subprocess
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from toolbench.errors import LakeError, UsageError
from toolbench.lake.store import Store


@pytest.fixture(params=["file", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return Store(str(tmp_path / "lake"))
    if request.param == "memory":
        return Store(f"memory://{uuid.uuid4().hex}")
    request.getfixturevalue("moto_server")
    return Store(f"s3://bucket/{uuid.uuid4().hex}")


def test_bytes_are_written_read_listed_and_deleted(store: Store) -> None:
    store.write("a/x.bin", b"one")
    store.write("a/b/y.bin", b"")
    store.write("ab/z.bin", b"not below a")
    assert store.read("a/x.bin") == b"one"
    assert store.read("a/b/y.bin") == b""
    assert store.list("a") == [("a/b/y.bin", 0), ("a/x.bin", 3)]
    assert store.list("nothing") == []
    assert store.exists("a/x.bin")
    assert not store.exists("a")
    store.write("a/x.bin", b"two!")
    assert store.read("a/x.bin") == b"two!"
    store.delete(["a/x.bin", "a/never.bin"])
    assert not store.exists("a/x.bin")
    assert [key for key, _ in store.list("")] == ["a/b/y.bin", "ab/z.bin"]
    with pytest.raises(FileNotFoundError):
        store.read("a/x.bin")


def test_the_first_writer_wins(store: Store) -> None:
    assert store.create("m/1.json", b"first")
    assert not store.create("m/1.json", b"second")
    assert store.read("m/1.json") == b"first"


def test_one_of_many_threads_wins(store: Store) -> None:
    for round_ in range(5):
        start = threading.Barrier(8)

        def attempt(n: int, key: str = f"m/{round_}", start: threading.Barrier = start) -> bool:
            start.wait()
            return store.create(key, str(n).encode())

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(attempt, range(8)))
        assert sum(won) == 1
        assert store.read(f"m/{round_}") == str(won.index(True)).encode()


def _create_in_process(uri: str, n: int, start: Callable[[], int]) -> None:
    store = Store(uri)
    start()
    for key in range(20):
        if store.create(f"m/{key}", str(n).encode()):
            store.write(f"won/{key}-{n}", b"")


def test_one_of_many_processes_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")  # the test process has threads, which a fork does not copy
    barrier = context.Barrier(4)
    workers = [context.Process(target=_create_in_process, args=(str(tmp_path), n, barrier.wait)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    store = Store(str(tmp_path))
    won = [key.removeprefix("won/").split("-") for key, _ in store.list("won")]
    assert sorted(int(key) for key, _ in won) == list(range(20))
    assert all(store.read(f"m/{key}") == n.encode() for key, n in won)


@pytest.mark.parametrize("mine", [True, False])
@pytest.mark.parametrize("protocol", ["memory", "s3"])
def test_after_a_lost_answer_the_bytes_that_are_there_decide(
    protocol: str, mine: bool, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if protocol == "s3":
        request.getfixturevalue("moto_server")
    store = Store(f"{protocol}://bucket/{uuid.uuid4().hex}")
    put = store.fs.pipe_file

    def lost(path: str, data: bytes, **options: object) -> None:
        put(path, data if mine else b"somebody else's")
        raise ConnectionResetError("connection reset by peer")

    monkeypatch.setattr(store.fs, "pipe_file", lost, raising=False)
    assert store.create("m/1.json", b"mine") is mine


def test_a_refused_put_that_left_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(store.fs, "pipe_file", refused, raising=False)
    with pytest.raises(LakeError, match=r"credentials and the bucket's policy\.$"):
        store.create("m/1.json", b"mine")


def test_a_killed_writers_half_file_is_not_listed(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write("t/a.parquet", b"whole")
    (tmp_path / "t" / ".b.parquet.0123.tmp").write_bytes(b"hal")
    assert store.list("t") == [("t/a.parquet", 5)]


def test_a_failed_write_leaves_neither_file_nor_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    store.write("t/a", b"old")

    def half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)
    for write, key in ((store.write, "t/a"), (store.create, "t/b")):
        with pytest.raises(LakeError, match="The disk is full"):
            write(key, b"new")
    assert store.read("t/a") == b"old"
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["a"]


def test_readers_of_a_folder_under_change_always_see_what_stands_there(tmp_path: Path) -> None:
    """Temporary files come and go while the folder is listed; that must hide nothing."""
    store = Store(str(tmp_path))
    store.write("m/1", b"1")
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            store.write("m/2", b"2")

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(churn) for _ in range(2)]
        try:
            assert all(("m/1", 1) in store.list("m") for _ in range(300))
        finally:
            stop.set()
        assert [r.result() for r in running] == [None, None]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EROFS, "The file system is read-only"),
        (errno.ENOSPC, "The disk is full"),
        (errno.EACCES, "Permission is denied"),
    ],
)
def test_what_storage_refuses_is_one_sentence_that_names_the_file(
    code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    for write in (store.write, store.create):
        with pytest.raises(LakeError, match=words) as caught:
            write("t/a.parquet", b"x")
        assert str(tmp_path / "t" / "a.parquet") in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["lake.json", "t/a.parquet"])
def test_a_file_where_the_lake_should_be(key: str, tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("I am a file")
    store = Store(str(tmp_path / "lake"))
    for write in (store.write, store.create):
        with pytest.raises(LakeError, match="A file stands where a folder is needed"):
            write(key, b"x")
    assert (tmp_path / "lake").read_text() == "I am a file"


def test_a_really_full_disk(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a tmpfs")
    try:
        store = Store(str(tmp_path))
        store.write("t/a", b"fits")
        with pytest.raises(LakeError, match="The disk is full"):
            store.write("t/b", bytes(200_000))
        assert store.list("t") == [("t/a", 4)]
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True, capture_output=True)
        with pytest.raises(LakeError, match="read-only"):
            store.write("t/c", b"x")
        with pytest.raises(LakeError, match="read-only"):
            store.create("n/c", b"x")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("uri", ["gs://bucket/x", "http://host/x", "s3://"])
def test_what_is_no_place_for_a_lake_is_a_usage_error(uri: str) -> None:
    with pytest.raises(UsageError, match="s3://bucket/prefix"):
        Store(uri)


def test_a_local_path_may_be_written_in_any_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert {Store(uri).root for uri in ("x", "./x", "x/", "~/x", f"file://{tmp_path}/x")} == {str(tmp_path / "x")}
    assert Store("x").url("a/b") == str(tmp_path / "x" / "a" / "b")
