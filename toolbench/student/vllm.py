"""vLLM for a student: how it is started in an environment of its own, since it pins its own torch."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from toolbench.errors import ToolbenchError, UsageError
from toolbench.student.base import load_tokenizer
from toolbench.student.folder import ADAPTER, base_of, is_adapter
from toolbench.student.parsing import Format, format_of
from toolbench.student.rope import recall

VERSION = "0.33.0"
"""The release that the flags below were written for."""

_RANKS = (8, 16, 32, 64, 128, 256, 512)
"""Values of --max-lora-rank that vLLM takes."""


class Plan(NamedTuple):
    """What vLLM is started with."""

    model: str
    """The first argument of `vllm serve`: the base, or the merged model."""
    config: dict[str, Any]
    """Its flags by name, without the leading dashes."""

    def text(self) -> str:
        """The configuration file: one flag a line. JSON values are YAML, too."""
        return "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in self.config.items())

    def command(self, environment: str, config: Path) -> list[str]:
        """The command line, with the configuration in a file. The key is not on it: VLLM_API_KEY has it."""
        return [str(Path(environment) / "bin" / "vllm"), "serve", self.model, "--config", str(config)]


def plan(
    folder: str, *, base: str | None = None, how: Format | None = None, name: str, host: str, port: int, seed: int = 0
) -> Plan:
    """How vLLM serves the student in `folder` under `name`: an adapter over its base, or a whole model.

    Raises ToolbenchError if the folder cannot be read, and UsageError if vLLM has no parser for its calls.
    """
    tokenizer = load_tokenizer(folder)
    how = how or format_of(str(tokenizer.chat_template))
    if how == "react":
        raise UsageError(
            "vLLM has no parser for calls in ReAct text: serve this student with --engine transformers, or ask it "
            "without tools (the search's text format)."
        )
    place = Path(folder).resolve()
    config: dict[str, Any] = {
        "host": host,
        "port": port,
        "served-model-name": [name],
        "tokenizer": str(place),
        "enable-auto-tool-choice": True,
        "tool-call-parser": how,
        "generation-config": "vllm",  # no sampling defaults of the base's: requests say what they want
        "seed": seed,
    }
    if (place / "chat_template.jinja").is_file():
        config["chat-template"] = str(place / "chat_template.jinja")
    if not is_adapter(folder):
        return Plan(str(place), config)
    below = base_of(folder, base)
    rank = _rank(place)
    config |= {
        "served-model-name": [f"{name}-base"],
        "enable-lora": True,
        "lora-modules": [f"{name}={place}"],
        "max-lora-rank": next((r for r in _RANKS if r >= rank), rank),
    }
    if rope := recall(place):
        config["hf-overrides"] = json.dumps(rope)
    return Plan(str(Path(below).resolve()) if Path(below).is_dir() else below, config)


def start(made: Plan, environment: str, config: Path, api_key: str | None) -> int:
    """Run vLLM until it ends; its exit code. Raises ToolbenchError if the environment does not have it."""
    command = made.command(environment, config)
    if not Path(command[0]).is_file():
        raise ToolbenchError(
            f"There is no vLLM in {environment}: on a machine with a GPU, run `python -m venv {environment}` and "
            f"`{environment}/bin/pip install vllm=={VERSION}`."
        )
    key = {"VLLM_API_KEY": api_key} if api_key else {}
    return subprocess.run(command, env={**os.environ, **key}, check=False).returncode


def _rank(folder: Path) -> int:
    try:
        return int(json.loads((folder / ADAPTER).read_text(encoding="utf-8"))["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolbenchError(f"The adapter {folder} has no readable {ADAPTER} that names its rank `r`.") from error
