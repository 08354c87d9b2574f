"""What a night came to, on its run's page."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact

from toolbench.lake import Lake, Snapshot
from toolbench.records import Run
from toolbench.report import night


def show(lake: Lake, flow: str, after: Snapshot, runs: Sequence[Mapping[str, Any]]) -> None:
    """A Markdown artifact `night`: figures, plots, and how they differ from the last run of the same flow."""
    tonight = [Run(**{**run, "spec": ""}) for run in runs]
    page = night.markdown(lake, flow, after, tonight)
    create_markdown_artifact(page, key="night", description=f"{flow}: snapshot {after.number}")
