"""What several test files share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbench.lake import Lake


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real data: `TOOLBENCH_TEST_DATA`, or `shared/data` beside the repository."""
    place = Path(os.environ.get("TOOLBENCH_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not place.is_dir():
        pytest.skip(f"needs the real data in {place}; set TOOLBENCH_TEST_DATA to where it is")
    return place


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty local lake."""
    return Lake(str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """An S3 server of moto's on a free loopback port, with the bucket `bucket`."""
    server = pytest.importorskip("moto.server", reason="needs moto[server]").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_server(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The endpoint of an S3 server, set in the environment as a user would set it; its bucket `bucket` is new."""
    import s3fs

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_endpoint)
    # fsspec keeps one instance per set of arguments, which would remember another test's endpoint.
    s3fs.S3FileSystem.clear_instance_cache()
    fs = s3fs.S3FileSystem()
    if not fs.exists("bucket"):
        fs.mkdir("bucket")
    yield moto_endpoint
    if fs.find("bucket"):
        fs.rm("bucket", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
