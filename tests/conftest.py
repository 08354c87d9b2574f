"""What several test files share."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from workshop import Factory, Server, chain, offline, settings_for

from toolbench.lake import Lake

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Read when prefect is imported, which test files do: tests report to nobody.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"


pytest_plugins = ["tiny_encoder"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes comes first: else one worker is at it long after the other has nothing left to do."""
    slow = [Path(__file__).parent / name for name in ("integration", "flows")]
    items.sort(key=lambda item: not any(place in item.path.parents for place in slow))


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
def honest_teacher() -> Iterator[Server]:
    """An offline teacher that makes no faults, over real HTTP."""
    server = offline()
    yield server
    server.stop()


@pytest.fixture
def start_teacher() -> Iterator[Callable[..., Server]]:
    """Starts offline teachers with faults: `start_teacher(malformed_rate=0.5)`; stops them afterwards."""
    running: list[Server] = []

    def start(**faults: float) -> Server:
        running.append(offline(**faults))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def hub_server() -> Iterator[Server]:
    """The demo hub over real HTTP, its slow API quick."""
    from toolbench.demo import create_app

    server = Server(create_app(delays=False))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def hub_documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the hub's OpenAPI documents, one a tool."""
    from toolbench.demo import documents

    folder = tmp_path_factory.mktemp("openapi")
    for number, document in enumerate(documents()):
        (folder / f"{number:02d}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def factory(
    tmp_path_factory: pytest.TempPathFactory, honest_teacher: Server, hub_server: Server, hub_documents: Path
) -> Factory:
    """A lake in which every stage has worked, some tools held out: read it, or copy its folder; never write to it."""
    lake = Lake(str(tmp_path_factory.mktemp("factory") / "lake"))
    wanted = {"source": str(hub_documents), "categories": ("Science", "Location", "Mapping"), "tool_holdout": 0.3}
    wanted["held_out_categories"] = ("Mapping",)
    amount = {"total": 36, "per_combination": 3, "holdout": 0.2}
    return chain(lake, settings_for(lake, honest_teacher.url, hub_server.url, catalogue=wanted, instructions=amount))


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


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """A headless browser, Debian's own build. While it is open no other event loop runs in the test's thread."""
    place = shutil.which("chromium")
    if place is None:
        pytest.skip("needs chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=place, args=[*quiet, "--disable-sync", "--no-first-run"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: "Browser") -> Iterator["Page"]:
    """A page of a fresh profile. At the end the test fails for console errors and for requests that left loopback."""
    from urllib.parse import urlsplit

    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    away: list[str] = []

    def note(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("file", "data", "blob", "about") and parts.hostname not in ("127.0.0.1", "localhost"):
            away.append(url)

    page.on("request", lambda request: note(request.url))
    yield page
    context.close()
    assert (complaints, away) == ([], [])


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Prefect server of the tests' own; its database and all results lie in temporary folders."""
    from prefect.settings import PREFECT_HOME, PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    home = tmp_path_factory.mktemp("prefect")
    with (
        temporary_settings({PREFECT_HOME: home, PREFECT_LOCAL_STORAGE_PATH: home / "storage"}),
        prefect_test_harness(server_startup_timeout=120),
    ):
        yield
