import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner
from workshop import a_tool, an_api, publish

from toolbench.cli.apis import app, finder, shortener
from toolbench.lake import Lake, Spec
from toolbench.records import Api, ResponseKeys, Tool

KEYS = ResponseKeys(
    id="Weather/sun/rise", category="Weather", keys=["at"], examples=1, model="m", prompt_digest="p", seed=0,
    input_tokens=0, output_tokens=0, cost=0.0,
)  # fmt: skip


def filled(lake: Lake) -> Lake:
    apis = [an_api("Sun", "rise"), an_api("Sun", "set")]
    spec = Spec(stage="collect", label="c", partition={"category": "Weather"}, records=[], content="c", params={})
    rows: Any = {Api: apis, Tool: [a_tool(apis[0])], ResponseKeys: [KEYS]}
    receipt = lake.finish(spec, rows, taken_in=2, passed_on=2)
    publish(lake, [receipt], ("apis", "tools", "response_keys"))
    return lake


def test_serving_answers_until_it_is_interrupted(lake: Lake, tmp_path: Path) -> None:
    place = tmp_path / "cache" / "Weather" / "sun_for_Weather"
    place.mkdir(parents=True)
    envelope = {"error": "", "response": {"at": "06:12"}}
    (place / "rise.json").write_text(json.dumps({"{'city': 'Oslo'}": envelope}), encoding="utf-8")
    command = ["-m", "toolbench", "apis", "serve", "--lake", filled(lake).uri, "--port", "0", "--key", "k3y"]
    command += ["--responses", str(tmp_path / "cache")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TOOLBENCH_")}
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=environment,
    )  # fmt: skip
    try:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        assert line.startswith("2 APIs: http://127.0.0.1:"), process.stderr.read()
        url = line.split()[2]
        body = {
            "category": "Weather", "tool_name": "sun", "api_name": "rise", "tool_input": '{"city": "Oslo"}',
            "strip": "filter", "toolbench_key": "k3y",
        }  # fmt: skip
        assert httpx.post(url, json=body).json() == envelope
        assert httpx.post(url, json={**body, "toolbench_key": ""}).status_code == 401
        assert httpx.post(url, json={**body, "api_name": "set"}).json()["error"] == ""
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()


def test_responses_are_reduced_to_the_keys_that_matter(lake: Lake) -> None:
    shorten = shortener(filled(lake), lake.snapshot(), 40)
    value = {"junk": ["word"] * 500, "at": "06:12"}
    assert shorten(an_api("Sun", "rise"), value) == {"at": "06:12"}
    assert shorten(an_api("Sun", "set"), {"at": 1}) == {"at": 1}


def test_unknown_names_find_nothing() -> None:
    find = finder([an_api("Sun", "rise")])
    assert find("Weather", "sun", "rise") is not None
    for names in (("", "", ""), ("Weather", "sun", "is_rise"), ("Finance", "sun", "rise"), ("Weather", "moon", "rise")):
        assert find(*names) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--port", "99999"], "choose another"), (["--responses", "/nowhere"], "/nowhere does not exist")],
)
def test_what_cannot_be_served_is_said_in_one_sentence(lake: Lake, arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--lake", filled(lake).uri, *arguments])
    assert said in str(result.exception)


def test_an_empty_lake_has_nothing_to_serve(lake: Lake) -> None:
    result = CliRunner().invoke(app, ["serve", "--lake", lake.uri])
    assert "holds no APIs" in str(result.exception)
