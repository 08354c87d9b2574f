"""docker-compose.yml, the Dockerfile and the Kubernetes files, as far as they can be checked without running them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import Settings as PrefectSettings
from prefect.settings.legacy import _get_settings_fields
from typer.main import get_command

from deployments.bootstrap import POOLS
from toolbench.cli import app
from toolbench.settings import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)
KUBERNETES = ROOT / "deployments" / "kubernetes"
DOCKERFILE = (ROOT / "deployments" / "Dockerfile").read_text(encoding="utf-8")
FROM_REDIS = ("PREFECT_REDIS_MESSAGING_", "PREFECT_REDIS_WORKER_CLEANUP_QUEUE_")
"""Settings of prefect-redis, which Prefect itself does not know."""


def filled_in(value: str) -> str:
    """A value as compose makes it of .env.example, with a word or an address for what is to be filled in."""

    def said(name: str) -> str:
        return EXAMPLE[name] or ("https://teacher.test/v1" if name.endswith("_URL") else "secret")

    return re.sub(r"\$\{(\w+)(?::[-?][^}]*)?\}", lambda found: said(found[1]), value)


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    for name, service in SERVICES.items():
        yield name, {key: filled_in(value) for key, value in service.get("environment", {}).items()}


def test_every_service_waits_for_services_that_are_there_and_can_be_waited_for() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], other
            else:
                assert how["condition"] == "service_completed_successfully"
                assert "restart" not in SERVICES[other], f"{other} would never have completed"


def test_every_image_is_pinned_and_ours_are_built() -> None:
    for name, service in SERVICES.items():
        image, _, tag = service["image"].rpartition(":")
        assert image, f"{name} has no tag"
        assert re.search(r"\d+\.\d+", tag), f"{name}: {tag} may be another image tomorrow"
        if image == "toolbench":
            assert tag == f"{_version()}-{service['build']['target']}"
            assert (ROOT / service["build"]["dockerfile"]).is_file()
            assert f" AS {service['build']['target']}\n" in DOCKERFILE
    (python,) = re.findall(r"^FROM (python:\S+)", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", python)


def _version() -> str:
    from toolbench import __version__

    return __version__


def test_every_variable_is_in_the_example_and_no_other_is() -> None:
    used = set(re.findall(r"\$\{(\w+)", TEXT))
    assert used == set(EXAMPLE)
    # What has no default in compose is asked for, and the example says nothing that could be taken for a secret.
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert required == {name for name, value in EXAMPLE.items() if not value} - {
        "OPENAI_API_KEY", "OPENAI_BASE_URL", "NOTIFICATION_BLOCK", "TORCH_INDEX",
    }  # fmt: skip
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT):
        assert EXAMPLE[name] == default, name


def test_every_volume_that_is_named_is_there() -> None:
    used = [v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", []) if not v.startswith("$")]
    assert sorted(used) == sorted(COMPOSE["volumes"])


def _prefect_variables() -> set[str]:
    """The names of all settings of Prefect in the environment."""
    return {setting.name for setting in _get_settings_fields(PrefectSettings).values()}


def test_prefect_knows_every_setting_that_is_given_to_it() -> None:
    known = _prefect_variables()
    assert "PREFECT_API_URL" in known
    for name, environment in environments():
        ours = [v for v in environment if v.startswith("PREFECT_") and not v.startswith(FROM_REDIS)]
        assert set(ours) <= known, name


def test_toolbench_knows_every_setting_that_is_given_to_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for variable, value in dict(environments())["worker-cpu"].items():
        monkeypatch.setenv(variable, value)
    settings = load().settings
    assert (settings.lake, settings.teacher.model) == ("s3://toolbench/factory", "offline-teacher")
    assert settings.teacher.base_url == "https://teacher.test/v1"
    by_name = dict(environments())
    assert by_name["worker-cpu"] == by_name["worker-gpu"]
    assert by_name["worker-cpu"].items() <= by_name["bootstrap"].items()


def test_who_may_use_the_api_has_to_say_so() -> None:
    by_name = dict(environments())
    for name in ("server", "services"):
        assert by_name[name]["PREFECT_SERVER_API_AUTH_STRING"] == by_name[name]["PREFECT_API_AUTH_STRING"]
    assert by_name["worker-cpu"]["PREFECT_API_AUTH_STRING"] == by_name["server"]["PREFECT_SERVER_API_AUTH_STRING"]
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert [filled_in(port) for port in published.pop("server")] == ["127.0.0.1:4200:4200"]
    assert published == {}


def test_server_and_services_share_everything_and_migrate_once() -> None:
    by_name = dict(environments())
    shared = {k: v for k, v in by_name["services"].items() if k != "PREFECT_API_URL"}
    assert shared == by_name["server"] == by_name["migrate"]
    assert "--no-services" in SERVICES["server"]["command"]
    assert by_name["server"]["PREFECT_SERVER_DATABASE_MIGRATE_ON_START"] == "false"


def _prefect_commands() -> Iterator[list[str]]:
    for service in SERVICES.values():
        if service.get("command", [""])[0] == "prefect":
            yield service["command"][1:]


def test_every_command_of_prefect_exists_with_its_options() -> None:
    from prefect.cli._app import _app

    commands = list(_prefect_commands())
    assert len(commands) == 5
    for arguments in commands:
        filled = [filled_in(word) for word in arguments]
        _, bound, unused = _app.parse_args(filled, print_error=False, exit_on_error=False)[:3]
        assert not unused, filled
        assert bound is not None


def test_workers_serve_the_pools_that_are_made() -> None:
    pools = {name: _after(SERVICES[name]["command"], "--pool") for name in ("worker-cpu", "worker-gpu")}
    assert sorted(pools.values()) == sorted(POOLS)
    gpu = SERVICES["worker-gpu"]
    assert gpu["profiles"] == ["gpu"]
    assert _after(gpu["command"], "--limit") == "1"
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    # What scales has no name or port of its own.
    assert not {"container_name", "ports"} & set(SERVICES["worker-cpu"])


def _after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_the_image_holds_what_its_commands_import() -> None:
    kept = re.findall(r"^!(.+?)/?$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"deployments", "flows", "tasks", "toolbench", "pyproject.toml", "README.md", "LICENSE"} == set(kept)
    assert all((ROOT / name).exists() for name in kept)
    extras = set(re.findall(r"\.\[([\w,]+)\]", DOCKERFILE)[0].split(","))
    assert {"demo", "server"} <= extras
    assert all(f"\n{extra} = [" in _pyproject() for extra in extras)


def _pyproject() -> str:
    return (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_documentation_names_commands_that_exist() -> None:
    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`?toolbench ([a-z][a-z-]+)", text)) <= known
    for service in re.findall(r"--scale ([\w-]+)=", text):
        assert service in SERVICES


@pytest.mark.parametrize("pool", sorted(POOLS))
def test_a_job_template_uses_only_variables_that_it_declares(pool: str) -> None:
    template = json.loads((KUBERNETES / f"base-job-template-{pool}.json").read_text(encoding="utf-8"))
    declared = template["variables"]["properties"]
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    assert used == set(declared)
    (container,) = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "{{ image }}"
    assert declared["image"]["default"].endswith(f"toolbench:{_version()}-{pool}")


def test_a_gpu_job_goes_to_a_node_with_a_gpu() -> None:
    specs = {}
    for pool in POOLS:
        template = json.loads((KUBERNETES / f"base-job-template-{pool}.json").read_text(encoding="utf-8"))
        specs[pool] = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"], template["variables"]
    spec, variables = specs["gpu"]
    assert spec["nodeSelector"] == "{{ node_selector }}"
    assert variables["properties"]["node_selector"]["default"] == {"nvidia.com/gpu.present": "true"}
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "{{ gpus }}"
    assert {t["key"] for t in spec["tolerations"]} == {"nvidia.com/gpu"}
    assert "nvidia" not in json.dumps(specs["cpu"])


@pytest.mark.parametrize("name", ["server", "worker-cpu", "worker-gpu"])
def test_helm_values_are_pinned_and_hold_no_secret(name: str) -> None:
    text = (KUBERNETES / f"{name}-values.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    if name == "server":
        assert re.fullmatch(r"3\.8\.\d+-python3\.11", values["global"]["prefect"]["image"]["prefectTag"])
        assert values["backgroundServices"]["runAsSeparateDeployment"] is True
        assert values["server"]["basicAuth"]["existingSecret"]
    else:
        assert values["worker"]["config"]["workPool"] == name.removeprefix("worker-")
        assert re.fullmatch(r"3\.8\.\d+-python3\.11-kubernetes", values["worker"]["image"]["prefectTag"])
    assert not re.search(r"(password|authString): *[\"']?\w", text)
