"""`toolbench agent serve` as a process, asked by curl."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbench.services import child

REPOSITORY = Path(__file__).parents[3]
ASKED = {"model": "toolbench-agent", "messages": [{"role": "user", "content": "How much rain will Oslo have?"}]}


@pytest.fixture(scope="module")
def served(place: Any) -> Iterator[str]:
    """The server with its own offline teacher, and with a key."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TOOLBENCH_", "OPENAI_"))}
    environment |= {"TOOLBENCH_AGENT__API_KEYS": "sesame", "TOOLBENCH_APIS__CHAIN": '["simulated"]'}
    environment |= {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    arguments = ["agent", "serve", "--lake", place.lake.uri, "--port", "0", "--top", "2", "--until-eof"]
    with child("toolbench", arguments, "The agent", environment) as port:
        yield f"http://127.0.0.1:{port}"


def curl(url: str, *arguments: str) -> str:
    """What curl prints: no proxy, ten seconds at most, an error for a status from 400 on."""
    quiet = ["curl", "-sS", "--noproxy", "*", "--max-time", "30", "--fail-with-body"]
    return subprocess.run([*quiet, *arguments, url], capture_output=True, text=True).stdout


def test_curl_gets_an_answer_whole_and_as_a_stream(served: str) -> None:
    key, url = ["-H", "Authorization: Bearer sesame"], f"{served}/v1/chat/completions"
    made = json.loads(curl(url, *key, "-d", json.dumps(ASKED)))
    answer = made["choices"][0]["message"]["content"]
    assert made["toolbench"]["outcome"] == "solved"
    assert answer
    assert len(made["toolbench"]["retrieved"]) == 2
    lines = curl(url, "-N", *key, "-d", json.dumps({**ASKED, "stream": True})).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == answer
    listed = json.loads(curl(f"{served}/v1/models", *key))
    assert listed["data"][0]["toolbench"]["top"] == 2


def test_curl_without_the_key_gets_none(served: str) -> None:
    refused = json.loads(curl(f"{served}/v1/chat/completions", "-d", json.dumps(ASKED)))
    assert refused["error"]["code"] == "invalid_api_key"
    assert "<title>toolbench agent</title>" in curl(f"{served}/")
