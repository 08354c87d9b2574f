"""The lake: tables of Parquet shards in object storage, snapshots, journals."""

import os

import pyarrow as pa

from toolbench.lake.finished import finish_model, finished_model
from toolbench.lake.journal import Journal
from toolbench.lake.lake import Lake, known_table
from toolbench.lake.leftover import emptied
from toolbench.lake.model import Draft, Entry, ModelEntry, Partition, Receipt, Snapshot, Spec, Usage, labels
from toolbench.lake.outcome import Outcome

if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
    # Arrow's own allocator keeps what it once had: 50 MiB more for a process that works on small tables.
    pa.set_memory_pool(pa.system_memory_pool())

__all__ = [
    "Draft", "Entry", "Journal", "Lake", "ModelEntry", "Outcome", "Partition", "Receipt", "Snapshot", "Spec", "Usage",
    "emptied", "finish_model", "finished_model", "known_table", "labels",
]  # fmt: skip
