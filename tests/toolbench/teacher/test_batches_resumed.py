"""Processes that die at the worst moments, and the next one, which must not pay again."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from batch_worker import DIED
from test_batches import asked, expected, noted, stats
from workshop import Server

from toolbench.lake import Lake

COUNT = 6


def killed(url: str, lake: Lake, where: str) -> None:
    """A process asks, and dies there."""
    command = [sys.executable, str(Path(__file__).with_name("batch_worker.py")), url, lake.uri, str(COUNT), where]
    assert subprocess.run(command, check=False, timeout=120).returncode == DIED


@pytest.mark.parametrize(
    ("where", "created", "note"),
    [
        ("upload-after", 0, ("", "")),
        ("create-before", 0, ("file-", "")),
        ("create-after", 1, ("file-", "")),
        ("ended-before", 1, ("file-", "batch_")),
        ("results-after", 1, ("file-", "batch_")),
    ],
)
def test_the_next_process_takes_what_was_paid_for(
    where: str, created: int, note: tuple[str, str], lake: Lake, start_teacher: Callable[..., Server]
) -> None:
    server = start_teacher()
    killed(server.url, lake, where)
    (left,) = noted(lake)
    assert len(left["requests"]) == COUNT
    assert (left["file"][:5], left["batch"][:6]) == note
    assert stats(server)["batches"] == created
    assert [r.content for r in asked(lake, server.url, COUNT + 2)] == expected(COUNT + 2)
    found = stats(server)
    assert (found["batched"], found["by_digest_max"]) == (COUNT + 2, 1)
    assert found["batches"] == 2  # the two that are new went into a batch of their own
    assert noted(lake) == []
    if where == "create-before":  # the file that nobody needs is not left at the endpoint
        assert httpx.get(f"{server.url}/v1/files/{left['file']}/content").status_code == 404
