"""Every deployment names a flow that is there, with parameters, a schedule and triggers that it takes."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect import Flow
from prefect.cli.deploy._models import (
    ConcurrencyLimitSpec,
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.cli.deploy._triggers import _initialize_deployment_triggers
from prefect.client.schemas.objects import ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.events import DeploymentEventTrigger
from prefect.exceptions import ParameterTypeError
from prefect.server.events.schemas.automations import EventTrigger
from prefect.server.events.schemas.events import ReceivedEvent
from pydantic import BaseModel

FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
CONTENT: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
DEPLOYMENTS: list[dict[str, Any]] = CONTENT["deployments"]
MANIFEST = "s3://bucket/lake/manifests/000000000003.json"
REQUESTED, PUBLISHED = "toolbench.category.requested", "toolbench.dataset.published"
EVENTS = {
    REQUESTED: {"category": "Weather", "source": "openapi"},
    PUBLISHED: {"snapshot": 3, "manifest": MANIFEST, "rows": {}},
}
"""What each event carries: the second as `flows.stage.publish` emits it."""


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    path, _, name = deployment["entrypoint"].partition(":")
    assert (FILE.parents[1] / path).is_file()
    found = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(found, Flow)
    return found


LIMITED = [d for d in DEPLOYMENTS if d["name"] != "shards"]
"""All but the batches of shards: each of those that a worker can take is taken."""
BY_FLOW = {flow_of(d).name: d for d in DEPLOYMENTS}


def triggers() -> Iterator[Any]:
    for name, deployment in BY_FLOW.items():
        for trigger in deployment.get("triggers", []):
            yield pytest.param(deployment, trigger, id=f"{name}: {trigger['name']}")


def fires(flow: str, event: str, resource: dict[str, str]) -> bool:
    """Whether the server would start this flow for the event."""
    received = {"occurred": "2025-06-21T00:00:00Z", "event": event, "resource": resource, "payload": EVENTS[event]}
    found = ReceivedEvent.model_validate({**received, "id": "00000000-0000-4000-8000-000000000001"})
    known = [{k: v for k, v in t.items() if k in EventTrigger.model_fields} for t in BY_FLOW[flow].get("triggers", [])]
    return any(EventTrigger.model_validate(trigger).covers(found) for trigger in known)


def of_lake(flow: str) -> dict[str, str]:
    return {"prefect.resource.id": "toolbench.lake.s3://bucket/lake", "toolbench.flow": flow}


def test_what_is_deployed() -> None:
    assert sorted(BY_FLOW) == [
        "add-category", "evaluate", "finetune-student", "housekeeping", "nightly-refresh", "publish-report",
        "screen-apis", "train-retriever", "watch-inbox", "work-on-shards",
    ]  # fmt: skip
    assert len(BY_FLOW) == len(DEPLOYMENTS)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["entrypoint"])
def test_the_entrypoint_takes_the_parameters(deployment: dict[str, Any]) -> None:
    flow = flow_of(deployment)
    required = set(flow.parameters.required) - set(deployment["parameters"])
    # What a deployment leaves open is asked for in the form, or comes with the event.
    asked = {"category": "Weather", "source": "openapi", "base": "./my-model"}
    asked |= {"options": {}, "stage": "solutions", "shards": ["specs/solutions/0123456789abcdef.json"]}
    given = deployment["parameters"] | {name: asked[name] for name in required}
    validated = flow.validate_parameters(given)
    assert set(validated) >= set(flow.parameters.required)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["entrypoint"])
def test_prefect_knows_every_word_of_it(deployment: dict[str, Any]) -> None:
    """Its own models pass over a word they do not know, so a typing mistake would go unnoticed."""
    PrefectYamlModel.model_validate(CONTENT)
    parts: list[tuple[type[BaseModel], dict[str, Any]]] = [
        (DeploymentConfig, deployment),
        (WorkPoolConfig, deployment["work_pool"]),
        *((ConcurrencyLimitSpec, limit) for limit in [deployment.get("concurrency_limit")] if limit),
        *((RawScheduleConfig, schedule) for schedule in deployment.get("schedules", [])),
        *((DeploymentEventTrigger, trigger) for trigger in deployment.get("triggers", [])),
    ]
    for model, part in parts:
        model.model_validate(part)
        assert set(part) <= set(model.model_fields), model.__name__


@pytest.mark.parametrize("deployment", LIMITED, ids=lambda d: d["entrypoint"])
def test_it_has_a_limit_of_its_own_and_its_schedules_are_valid(deployment: dict[str, Any]) -> None:
    assert deployment["concurrency_limit"]["limit"] == 1
    strategy = ConcurrencyLimitStrategy(deployment["concurrency_limit"]["collision_strategy"])
    # What a clock starts is the same work each time; what somebody asks for is work of its own.
    assert (strategy == ConcurrencyLimitStrategy.CANCEL_NEW) == bool(deployment.get("schedules"))
    for schedule in deployment.get("schedules", []):
        CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
        assert ZoneInfo(schedule["timezone"])
    assert (flow_of(deployment).name in ("evaluate", "finetune-student", "train-retriever")) == (
        deployment["work_pool"]["name"] == "gpu"
    )


def test_limited_deployments_have_no_retries_of_their_own() -> None:
    assert all(not flow_of(d).retries for d in DEPLOYMENTS if d.get("concurrency_limit"))


@pytest.mark.parametrize(("deployment", "trigger"), list(triggers()))
def test_a_trigger_gives_the_flow_parameters_it_takes(deployment: dict[str, Any], trigger: dict[str, Any]) -> None:
    (ready,) = _initialize_deployment_triggers("name", [dict(trigger)])
    flow, (event,) = flow_of(deployment), trigger["expect"]
    assert set(ready.parameters or {}) <= set(flow.parameters.properties)
    given = dict(deployment["parameters"])
    for name, template in (ready.parameters or {}).items():
        field = re.fullmatch(r"\{\{ event\.payload\.(\w+) \}\}", template)
        assert field is not None, template
        given[name] = EVENTS[event][field[1]]
    flow.validate_parameters(given)


def test_who_is_started_by_what() -> None:
    assert fires("add-category", REQUESTED, {"prefect.resource.id": "toolbench.inbox.Weather"})
    assert not fires("add-category", REQUESTED, {"prefect.resource.id": "somebody.else"})
    for flow in ("nightly-refresh", "add-category"):
        assert fires("evaluate", PUBLISHED, of_lake(flow))
        assert fires("publish-report", PUBLISHED, of_lake(flow))
    assert fires("publish-report", PUBLISHED, of_lake("evaluate"))
    assert not any(fires(flow, PUBLISHED, of_lake(flow)) for flow in BY_FLOW), "it would start itself for ever"


def test_an_event_that_lacks_its_payload_starts_nothing() -> None:
    flow = flow_of(BY_FLOW["add-category"])
    with pytest.raises(ParameterTypeError, match="category"):
        flow.validate_parameters({"options": {}, "category": "", "source": "openapi"})


def test_prefect_refuses_parameters_that_are_out_of_their_limits() -> None:
    for name, wrong in {
        "housekeeping": {"options": {}, "retention": {"snapshots": 0}},
        "publish-report": {"options": {}, "manifest": "s3://bucket/lake/3.json"},
        "evaluate": {"options": {}, "least": 70},
    }.items():
        with pytest.raises(ParameterTypeError):
            flow_of(BY_FLOW[name]).validate_parameters(wrong)
