"""Rate the APIs of one shard."""

from tasks.shard import shard_task
from toolbench.screening import screen

screen_shard = shard_task("screen", screen, teacher=False)
