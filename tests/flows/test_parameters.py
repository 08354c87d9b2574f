"""Options: what a flow can be told, and what becomes of it in settings."""

from typing import Any

import pytest
from pydantic import ValidationError

from flows.parameters import Options, run_name
from toolbench.errors import UsageError
from toolbench.settings import Settings


def test_what_is_given_reaches_the_settings_and_the_rest_keeps_its_defaults() -> None:
    options = Options(
        lake="memory://somewhere", catalogue="tools.tar.gz", responses="answers.tar.gz", categories=["Weather"],
        groups=["I1"], instructions=3, model="a-model", base_url="http://127.0.0.1:1/v1", seed=0,
        more={"search.width": 3},
    )  # fmt: skip
    settings = options.settings()
    assert settings.lake == "memory://somewhere"
    assert settings.catalogue.source == "tools.tar.gz"
    assert settings.catalogue.responses == "answers.tar.gz"
    assert settings.catalogue.categories == ("Weather",)
    assert settings.instructions.groups == ("I1",)
    assert settings.instructions.total == 3
    assert settings.teacher.model == "a-model"
    assert settings.teacher.base_url == "http://127.0.0.1:1/v1"
    assert settings.search.width == 3
    assert settings.judge == Settings().judge


def test_seed_zero_is_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLBENCH_SEED", "5")
    assert Options().settings().seed == 5
    assert Options(seed=0).settings().seed == 0


@pytest.mark.parametrize("empty", [{}, {"model": "", "lake": ""}, {"model": None, "lake": None}])
def test_what_is_left_empty_comes_from_the_environment(
    empty: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLBENCH_TEACHER__MODEL", "theirs")
    monkeypatch.setenv("TOOLBENCH_LAKE", "memory://theirs")
    settings = Options(**empty, categories=[], groups=[]).settings()
    assert (settings.teacher.model, settings.lake) == ("theirs", "memory://theirs")
    assert settings.instructions.groups == ("I1", "I2", "I3")


def test_a_named_field_wins_over_the_same_setting_in_more() -> None:
    options = Options(catalogue="mine", more={"catalogue.source": "other", "seed": None})
    assert options.settings().catalogue.source == "mine"
    assert options.settings().seed == 0


@pytest.mark.parametrize(
    "more",
    [{"teacher.api_key": "sk-1"}, {"teacher": {"api_key": "sk-1"}}, {"apis.secrets": {"host": {"key": "sk-1"}}}],
)
def test_a_secret_is_no_parameter(more: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="set it in the environment"):
        Options(more=more)


def test_an_unknown_setting_is_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"search\.widht"):
        Options(more={"search.widht": 3}).settings()


@pytest.mark.parametrize("wrong", [{"instructions": 0}, {"groups": ["I4"]}, {"lak": "x"}])
def test_what_the_form_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options(**wrong)


def test_a_part_of_a_run_is_told_the_addresses_of_the_services_of_the_whole() -> None:
    options = Options(instructions=3, more={"search.width": 3})
    settings = options.settings().with_(
        apis={"hosts": {"hub.test": {"connect": "http://127.0.0.1:1", "methods": ("POST",), "rate": 0}}},
        catalogue={"source": "http://hub.test/index.json"},
        teacher={"base_url": "http://127.0.0.1:2/v1"},
    )
    assert options.resolved(settings).settings() == settings


@pytest.mark.parametrize("lake", ["s3://bucket/lake", "/data/lake", "memory://lake"])
def test_a_manifest_names_the_lake_and_the_snapshot(lake: str) -> None:
    options, number = Options(lake="elsewhere").of_manifest(f"{lake}/manifests/000000000012.json")
    assert (options.lake, number) == (lake, 12)


def test_without_a_manifest_options_stay_as_they_are() -> None:
    assert Options(lake="here").of_manifest("") == (Options(lake="here"), None)


@pytest.mark.parametrize("wrong", ["s3://bucket/lake", "/manifests/000000000012.json", "lake/manifests/12.json"])
def test_what_is_no_manifest_is_said(wrong: str) -> None:
    with pytest.raises(UsageError, match="is no manifest's address"):
        Options().of_manifest(wrong)


@pytest.mark.parametrize(
    "given",
    [
        {"base_url": "https://me:hunter2@teacher.example.org/v1"},
        {"catalogue": "https://me:hunter2@hub.example.org/index.json"},
        {"catalogue": "https://hub.example.org/index.json?token=hunter2"},
        {"more": {"apis.server_url": "https://me:hunter2@tools.example.org/virtual"}},
    ],
)
def test_an_address_with_a_secret_is_no_parameter_and_is_not_repeated(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="set it in the environment") as refused:
        Options(**given)
    assert "hunter2" not in str(refused.value)


def test_an_address_of_the_workers_own_is_not_written_into_the_parameters_of_a_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOOLBENCH_CATALOGUE__SOURCE", "https://me:hunter2@hub.example.org/index.json?token=hunter2")
    part = Options().resolved(Options().settings())
    assert "hunter2" not in part.model_dump_json()
    assert "hunter2" in part.settings().catalogue.source


def test_a_budget_is_given_by_its_fields() -> None:
    budget = Options(max_cost=0, max_calls=5, max_hours=1.5, more={"budget.max_calls": 9}).settings().budget
    assert (budget.max_cost, budget.max_calls, budget.max_hours) == (0, 5, 1.5)


@pytest.mark.parametrize(
    ("parameters", "configured", "about"),
    [
        ({"options": Options()}, "", "demo hub"),
        ({"options": Options()}, "/data/openapi", "openapi"),
        ({"options": Options(catalogue="x/toolenv.tar.gz", categories=["A", "B"])}, "/y", "toolenv.tar.gz A,B"),
        ({"options": Options(), "category": "Weather", "source": "s3://b/documents"}, "/y", "documents Weather"),
        ({"options": Options(more={"search.width": 99, "catalogue.source": "z"})}, "/y", "z"),
    ],
)
def test_a_run_is_called_after_what_it_is_about(
    parameters: dict[str, Any], configured: str, about: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Run:
        flow_name = "nightly-refresh"

    Run.parameters = parameters  # type: ignore[attr-defined]
    monkeypatch.setattr("flows.parameters.flow_run", Run)
    monkeypatch.setenv("TOOLBENCH_CATALOGUE__SOURCE", configured)
    assert run_name() == f"nightly-refresh {about}"


def test_null_and_nothing_are_what_the_worker_is_configured_for() -> None:
    """Runs that were planned by an earlier version have nulls, the form has empty lines."""
    planned = {"lake": None, "catalogue": None, "categories": None, "groups": None, "model": None, "instructions": None}
    assert Options.model_validate(planned) == Options.model_validate({"lake": "", "categories": []}) == Options()
