"""How vLLM is started for a student."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from toolbench.cli import app
from toolbench.errors import ToolbenchError, UsageError
from toolbench.student.vllm import VERSION, plan


@pytest.fixture
def adapter(tiny_llama: str, tmp_path: Path) -> Path:
    """An adapter's folder as far as vLLM's command line looks at it."""
    folder = tmp_path / "adapter"
    shutil.copytree(tiny_llama, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": tiny_llama, "r": 12}))
    return folder


def test_an_adapter_goes_over_its_base(adapter: Path, tiny_llama: str) -> None:
    made = plan(str(adapter), name="student", host="0.0.0.0", port=8000)
    assert made.model == tiny_llama
    flags = yaml.safe_load(made.text())
    assert flags["lora-modules"] == [f"student={adapter}"]
    assert (flags["enable-lora"], flags["max-lora-rank"]) == (True, 16)
    assert (flags["tool-call-parser"], flags["enable-auto-tool-choice"]) == ("hermes", True)
    assert flags["served-model-name"] == ["student-base"]
    assert flags["chat-template"] == str(adapter / "chat_template.jinja")


def test_a_whole_model_needs_no_adapter(tiny_llama: str) -> None:
    made = plan(tiny_llama, how="mistral", name="student", host="127.0.0.1", port=8000)
    assert made.model == tiny_llama
    assert "enable-lora" not in made.config
    assert made.config["served-model-name"] == ["student"]
    assert made.config["tool-call-parser"] == "mistral"


def test_there_is_no_parser_for_react(tiny_llama: str) -> None:
    with pytest.raises(UsageError, match="no parser for calls in ReAct text"):
        plan(tiny_llama, how="react", name="student", host="127.0.0.1", port=8000)


def test_the_command_prints_and_runs(adapter: Path, tmp_path: Path) -> None:
    config = tmp_path / "vllm.yaml"
    arguments = ["student", "serve", str(adapter), "--engine", "vllm", "--config", str(config), "--api-key", "k"]
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 0
    assert (
        f"vllm-env/bin/vllm serve {plan(str(adapter), name='x', host='', port=1).model} --config {config}"
        in said.stdout
    )
    assert VERSION in said.stdout
    missing = CliRunner().invoke(app, [*arguments, "--vllm-env", str(tmp_path / "none")])
    assert isinstance(missing.exception, ToolbenchError)
    assert f"vllm=={VERSION}" in str(missing.exception)
    fake = tmp_path / "env" / "bin" / "vllm"
    fake.parent.mkdir(parents=True)
    fake.write_text(f'#!/bin/sh\necho "$@ $VLLM_API_KEY" > {tmp_path}/asked\nexit "${{CODE:-0}}"\n')
    fake.chmod(0o755)
    assert CliRunner().invoke(app, [*arguments, "--vllm-env", str(tmp_path / "env")]).exit_code == 0
    assert (tmp_path / "asked").read_text().endswith(f"--config {config} k\n"), "the key is in the environment alone"
    failed = CliRunner(env={**os.environ, "CODE": "3"}).invoke(app, [*arguments, "--vllm-env", str(tmp_path / "env")])
    assert "exit code 3" in str(failed.exception)


def test_the_lake_s_student_needs_a_folder_for_vllm() -> None:
    result = CliRunner().invoke(app, ["student", "serve", "--engine", "vllm"])
    assert "vLLM serves from a folder" in str(result.exception)
