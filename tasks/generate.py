"""Have the teacher write the instructions of one shard of combinations."""

from tasks.shard import shard_task
from toolbench.instructions import generate

generate_shard = shard_task("instruct", generate)
