"""The lake: tables of Parquet shards in object storage, snapshots, journals."""

from toolbench.lake.journal import Journal
from toolbench.lake.lake import Lake, known_table
from toolbench.lake.model import Draft, Entry, ModelEntry, Partition, Receipt, Snapshot, Spec, Usage, labels
from toolbench.lake.outcome import Outcome

__all__ = [
    "Draft", "Entry", "Journal", "Lake", "ModelEntry", "Outcome", "Partition", "Receipt", "Snapshot", "Spec", "Usage",
    "known_table", "labels",
]  # fmt: skip
