"""Make training conversations and retrieval pairs of one shard of solutions."""

from tasks.shard import shard_task
from toolbench.datasets import build

build_shard = shard_task("build", build, teacher=False)
