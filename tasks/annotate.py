"""Search solution paths for the instructions of one shard."""

from tasks.shard import shard_task
from toolbench.solutions import annotate

annotate_shard = shard_task("annotate", annotate)
