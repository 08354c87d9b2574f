"""publish-report: the pages a person looks at after a night."""

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from pydantic import BaseModel, ConfigDict, Field

from flows.parameters import Manifest, Options, lake_run_name
from toolbench import report as pages
from toolbench.lake import Lake

NAME = "publish-report"


class Report(BaseModel):
    """Which report, and where to."""

    model_config = ConfigDict(extra="forbid")

    snapshot: int | None = Field(None, ge=1, description="A snapshot by its number. Empty: the newest.")
    instructions_per_group: int = Field(
        pages.INSTRUCTIONS_PER_GROUP, ge=1, le=1000, description="Instructions of each group that are drawn to be read."
    )
    labels: str | None = Field(
        None,
        description="A file of people's labels as the worker sees it, for the page that compares judges with them. "
        "Empty: no such page.",
    )
    out: str | None = Field(
        None, description="A folder as the worker sees it. Empty: reports/<snapshot>/ beside the tables, in the lake."
    )


class Published(BaseModel):
    """What the flow returns: the first page's address, and the snapshot it is about."""

    address: str
    snapshot: int


@flow(name=NAME, flow_run_name=lake_run_name)
def publish_report(options: Options, report: Report = Report(), manifest: Manifest = "") -> Published:  # noqa: B008
    """Write the report of a snapshot: static pages that need no server.

    Args:
        options: Where the tables are; nothing else is looked at.
        report: Which snapshot, and where the pages go.
        manifest: A snapshot by its manifest's address, as the event toolbench.dataset.published names it; it goes
            before `options.lake` and `report.snapshot`.
    """
    options, number = options.of_manifest(manifest)
    lake = Lake(options.settings().lake)
    number = number or report.snapshot or max(lake.numbers(), default=0)
    labels, many = Path(report.labels) if report.labels else None, report.instructions_per_group
    if report.out or not number:  # without a snapshot, `build` says so
        address = str(
            pages.build(lake, Path(report.out or "report"), number or None, instructions_per_group=many, labels=labels)
        )
    else:
        address = pages.publish(lake, number, instructions_per_group=many, labels=labels)
    _link(address, number)
    return Published(address=address, snapshot=number)


def _link(address: str, number: int) -> None:
    """The address on the run's page: as a link where a browser can follow it."""
    said = f"Report of snapshot {number}"
    if address.startswith(("http://", "https://")):
        create_link_artifact(address, link_text=said, key="report", description=said)
    else:
        create_markdown_artifact(f"{said}: `{address}`", key="report", description=said)
