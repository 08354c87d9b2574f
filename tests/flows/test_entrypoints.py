"""Every flow as Prefect's UI shows it: a name, what it does, and a description for each field of its form."""

import importlib
import pkgutil
from typing import Any

import pytest
from prefect import Flow
from prefect.utilities.callables import parameter_schema

import flows
from flows.housekeeping import WRITERS
from flows.parameters import Options


def _flows() -> dict[str, Flow[..., Any]]:
    modules = [importlib.import_module(f"flows.{found.name}") for found in pkgutil.iter_modules(flows.__path__)]
    return {item.name: item for module in modules for item in vars(module).values() if isinstance(item, Flow)}


FLOWS = _flows()


def test_every_flow_is_there() -> None:
    assert sorted(FLOWS) == [
        "add-category", "annotate-instructions", "annotate-solutions", "build-dataset", "collect-apis",
        "compress-responses", "evaluate", "finetune-student", "generate-instructions", "housekeeping",
        "nightly-refresh", "promote-student", "publish-report", "screen-apis", "train-retriever", "watch-inbox",
        "work-on-shards",
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_every_field_of_its_form_is_described(name: str) -> None:
    schema = parameter_schema(FLOWS[name].fn)
    assert "options" in schema.properties
    for field, shown in schema.properties.items():
        assert shown.get("description"), f"{name}: {field}"
    for model, definition in schema.definitions.items():
        for field, shown in definition["properties"].items():
            assert shown.get("description"), f"{model}.{field}"
    needed = {
        "add-category": {"category", "source"}, "annotate-instructions": {"path"}, "finetune-student": {"base"},
        "work-on-shards": {"stage", "shards"},
    }  # fmt: skip
    assert set(schema.required) == {"options"} | needed.get(name, set())


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_its_description_says_what_it_does(name: str) -> None:
    assert FLOWS[name].description
    assert FLOWS[name].description.strip().splitlines()[0].endswith(".")


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_default_options_are_valid(name: str) -> None:
    needed: dict[str, Any] = {
        "category": "Weather", "source": "somewhere", "path": "file.json", "base": "./my-model", "stage": "solutions",
        "shards": ["specs/solutions/0.json"],
    }  # fmt: skip
    required = set(parameter_schema(FLOWS[name].fn).required) - {"options"}
    valid = FLOWS[name].validate_parameters({"options": {}, **{k: needed[k] for k in required}})
    assert valid["options"] == Options()


def test_housekeeping_waits_for_every_flow_that_writes_to_the_lake() -> None:
    assert sorted(WRITERS) == sorted(set(FLOWS) - {"housekeeping", "publish-report", "watch-inbox", "work-on-shards"})
