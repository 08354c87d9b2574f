"""What Prefect does by itself when something happens to a run. Triggers that start flows are in prefect.yaml."""

from datetime import timedelta
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events import EventTrigger, ResourceSpecification
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, Posture

LOST = "toolbench: a run whose heartbeat is lost has crashed"
NEVER_BEGAN = "toolbench: a run that was taken and never began is given out again"
CRASHED = "toolbench: a run that has crashed is started again"
NIGHT_FAILED = "toolbench: tell somebody that a night failed"
RESTARTS = 2
"""How often a run that crashed is started again."""
_MISSED = 3
_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
_WHOLE = {"prefect.resource.role": "deployment", "prefect.resource.name": "!shards"}
"""Runs that can be given out again. Batches of shards are left to the run that waits for them."""


def lost(heartbeat_seconds: int) -> AutomationCore:
    """A run of which nothing is heard for three heartbeats is marked as crashed.

    A process that was killed cannot say so: without this its run would be running for ever and, with a limit of one,
    keep all others of its deployment out. Anything that is heard of a run counts: one that was suspended sends no
    heartbeats either, but its suspension was heard of.
    """
    return AutomationCore(
        name=LOST,
        description=f"Workers send a heartbeat every {heartbeat_seconds} s (PREFECT_FLOWS_HEARTBEAT_FREQUENCY).",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification.model_validate(_RUNS),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=_MISSED * heartbeat_seconds + 10),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="Nothing was heard of it any more.")],
    )


def never_began(seconds: int) -> AutomationCore:
    """A run that a worker took and of which nothing was heard for so long is given out again.

    A worker that was killed with the process it had just started can say nothing, and there is no heartbeat yet that
    could be missed. Nothing was done, so that nothing is counted: it is given out as often as it takes. Prefect looks
    once in such a time, so that it takes twice as long at most. What a worker saw end before its first word is Crashed
    at once and is for somebody to look at.
    """
    return AutomationCore(
        name=NEVER_BEGAN,
        description=f"Within {seconds} s, as `python -m deployments.bootstrap --begin-seconds` says.",
        trigger=EventTrigger(
            after={f"prefect.flow-run.{name}" for name in ("Pending", "Submitting", "InfrastructurePending")},
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification.model_validate(_RUNS),
            match_related=ResourceSpecification.model_validate(_WHOLE),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=seconds),
        ),
        actions=[
            ChangeFlowRunState(state=StateType.SCHEDULED, name="AwaitingRetry", message="It was taken and never began.")
        ],
    )


def crashed() -> AutomationCore:
    """A run that has crashed is started again, by whatever worker is there, and goes on from what is in the lake.

    It is scheduled again as it is, with its parameters. Its own count of starts bounds that: a run that takes its
    worker down every time ends as Crashed, and one that never began is for somebody to look at. Runs without a
    deployment cannot be scheduled; batches of shards are left to the run that waits for them.
    """
    known = _RUNS | {"prefect.run-count": [str(count) for count in range(1, RESTARTS + 1)]}
    return AutomationCore(
        name=CRASHED,
        description=f"At most {RESTARTS} times; what failed by an error of its own stays Failed.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Crashed"},
            match=ResourceSpecification.model_validate(known),
            match_related=ResourceSpecification.model_validate(_WHOLE),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[ChangeFlowRunState(state=StateType.SCHEDULED, name="AwaitingRetry", message="It had crashed.")],
    )


def night_failed(block: UUID) -> AutomationCore:
    """Somebody is told, through a notification block, that a night failed or crashed."""
    return AutomationCore(
        name=NIGHT_FAILED,
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match=ResourceSpecification.model_validate(_RUNS),
            match_related=ResourceSpecification.model_validate(
                {"prefect.resource.role": "flow", "prefect.resource.name": "nightly-refresh"}
            ),
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            SendNotification(
                block_document_id=block,
                subject="toolbench: {{ flow_run.name }} {{ flow_run.state.name }}",
                body="{{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
            )
        ],
    )
