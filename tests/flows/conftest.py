"""Flows over the demo hub and an honest offline teacher, on a Prefect server of the tests' own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from workshop import Server

from flows.parameters import Options
from toolbench.demo import HOST

SMALL = {"instructions": 20, "groups": ["I1", "I2"], "categories": ["Finance", "Science"], "seed": 7}

MakeOptions = Callable[..., Options]


@pytest.fixture(scope="module", autouse=True)
def _nothing_from_outside(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting comes from the environment or the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("OPENAI_", "TOOLBENCH_")) and not name.startswith("TOOLBENCH_TEST_"):
                patch.delenv(name)
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield


@pytest.fixture(scope="session")
def options(hub_server: Server, honest_teacher: Server) -> MakeOptions:
    """Options of a small run on a lake: two categories, I1 and I2, other fields and settings by name."""

    def make(lake: Path | str, more: dict[str, Any] | None = None, **fields: Any) -> Options:
        here = {
            "apis.hosts": {HOST: {"connect": hub_server.url, "methods": ["POST"], "rate": 0, "concurrency": 64}},
            "work.workers": 2,
            "teacher.max_retries": 0,
            "judge.votes": 1,
            "instructions.per_combination": 5,
        }
        known = {**SMALL, "catalogue": f"http://{HOST}/index.json", "base_url": f"{honest_teacher.url}/v1"}
        return Options(lake=str(lake), more={**here, **(more or {})}, **{**known, **fields})

    return make
