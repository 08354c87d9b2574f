"""Every deployment names a flow that is there, with parameters that it takes."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    path, _, name = deployment["entrypoint"].partition(":")
    assert (FILE.parents[1] / path).is_file()
    found = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(found, Flow)
    return found


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["entrypoint"])
def test_the_entrypoint_takes_the_parameters(deployment: dict[str, Any]) -> None:
    flow = flow_of(deployment)
    required = set(flow.parameters.required) - set(deployment["parameters"])
    # What a deployment leaves open is asked for in the form, or comes with the event.
    asked = {"category": "Weather", "source": "openapi", "base": "./my-model"}
    given = deployment["parameters"] | {name: asked[name] for name in required}
    validated = flow.validate_parameters(given)
    assert set(validated) >= set(flow.parameters.required)


def test_limited_deployments_have_no_retries_of_their_own() -> None:
    assert all(not flow_of(d).retries for d in DEPLOYMENTS if d.get("concurrency_limit"))
