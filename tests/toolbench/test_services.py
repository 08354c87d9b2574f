"""The services that are started where settings name none: real processes, gone afterwards."""

import subprocess
from contextlib import nullcontext
from typing import Any

import httpx
import pytest

from toolbench import services as module
from toolbench.demo import HOST
from toolbench.errors import ToolbenchError
from toolbench.services import services
from toolbench.settings import Settings


def test_hub_and_teacher_run_for_the_block_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLBENCH_OFFLINE_KEY", "for others")  # our own teacher is asked without a key
    with services(Settings()) as settings:
        hub, teacher = settings.apis.hosts[HOST].connect, settings.teacher.base_url
        assert settings.catalogue.source == f"http://{HOST}/index.json"
        assert httpx.get(f"{hub}/health").json()["status"] == "ok"
        assert httpx.get(f"{teacher}/models").status_code == 200
        assert "POST" in settings.apis.hosts[HOST].methods
        with services(settings) as again:
            assert again == settings, "what runs is not started twice"
    for url in (hub, teacher):
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def test_what_settings_name_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_process", None)
    named = Settings().with_(catalogue={"source": "toolenv"}, teacher={"base_url": "http://127.0.0.1:9/v1"})
    with services(named) as settings:
        assert settings == named


def test_a_hub_that_runs_elsewhere_is_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the working folder, which an empty source would mean to the reader of folders."""
    monkeypatch.setattr(module, "_process", None)
    named = Settings().with_(apis={"hosts": {HOST: "http://127.0.0.1:9"}}, teacher={"model": "gpt"})
    with services(named) as settings:
        assert settings.catalogue.source == f"http://{HOST}/index.json"
        assert settings.apis == named.apis


def test_hosts_of_the_user_s_keep_the_user_s_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_process", lambda *given: nullcontext(9))
    with services(Settings().with_(apis={"hosts": {"a.example.org": ""}})) as settings:
        assert settings.apis.methods == ("GET", "HEAD")
        assert set(settings.apis.hosts) == {"a.example.org", HOST}


def test_a_service_that_does_not_start_says_why() -> None:
    with pytest.raises(ToolbenchError, match=r"The nonsense did not start: .*nonsense"), module._process("nonsense"):
        raise AssertionError("started")


def test_complaints_do_not_stop_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe holds 64 KiB; what writes more to one that nobody empties stands still."""
    program = (
        "import sys; print('{\"port\": 1}', flush=True); sys.stderr.write('x' * 1_000_000); sys.stderr.flush();"
        "sys.stdin.read()"
    )
    started: list[subprocess.Popen[str]] = []
    real = subprocess.Popen

    def popen(arguments: list[str], **options: Any) -> subprocess.Popen[str]:
        started.append(real([arguments[0], "-c", program], **options))
        return started[0]

    monkeypatch.setattr(module.subprocess, "Popen", popen)
    with module._process("x") as port:
        assert port == 1
    assert started[0].returncode == 0, "it stood still and had to be killed"
