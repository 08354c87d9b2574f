"""Judge the answers of one shard of solutions."""

from tasks.shard import shard_task
from toolbench.tooleval import judge

judge_shard = shard_task("judge", judge)
