"""watch-inbox: what landed in the lake's inbox is requested, by an event that starts add-category."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events import Event, Resource
from pydantic import BaseModel, ConfigDict, Field

from flows.parameters import Options, lake_run_name
from toolbench.catalogue.inbox import Request, requests, sent, strays
from toolbench.lake.store import Store

NAME = "watch-inbox"
REQUESTED = "toolbench.category.requested"


class Inbox(BaseModel):
    """How the inbox is looked at."""

    model_config = ConfigDict(extra="forbid")

    settle_seconds: float = Field(
        10, ge=0, le=600, description="A category in which a document is younger than this is left for the next look."
    )


class Requested(BaseModel):
    """The categories that were requested."""

    categories: list[str]


@flow(name=NAME, flow_run_name=lake_run_name)
def watch_inbox(options: Options, inbox: Inbox = Inbox()) -> Requested:  # noqa: B008
    """Request every category of which documents landed in the lake's folder `inbox/<Category>/`.

    Each version of a document is requested once, all of a category together. To have it done again, touch a document or
    put it there once more.

    Args:
        options: Where the lake is; nothing else is looked at.
        inbox: When a document counts as landed.
    """
    store = Store(options.settings().lake)
    found = requests(store, inbox.settle_seconds)
    with get_client(sync_client=True) as client:
        for request in found:
            _pass_on(client, store, request)
            sent(store, request)
    for key in strays(store):
        get_run_logger().warning("%s is no document in a category's folder: it is not looked at", store.url(key))
    if found:
        rows = [{"category": r.category, "source": r.source(store), "documents": len(r.documents)} for r in found]
        create_table_artifact(table=rows, key="inbox", description=f"Categories requested: {len(rows)}")
    return Requested(categories=[request.category for request in found])


def _pass_on(client: SyncPrefectClient, store: Store, request: Request) -> None:
    """Emit the event, unless the server has it. Posted, not queued: whether it arrived has to be known."""
    wanted: dict[str, Any] = {"filter": {"id": {"id": [str(request.event)]}}, "limit": 1}
    if client.request("POST", "/events/filter", json=wanted).json()["events"]:
        return
    source = request.source(store)
    event = Event(
        id=request.event,
        event=REQUESTED,
        resource=Resource({"prefect.resource.id": f"toolbench.inbox.{request.category}"}),
        payload={"category": request.category, "source": source, "documents": len(request.documents)},
    )
    client.request("POST", "/events", json=[event.model_dump(mode="json")])
    get_run_logger().info("requested %s from %s: %d documents", request.category, source, len(request.documents))
