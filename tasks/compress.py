"""Have the teacher name the keys that matter in the responses of one shard of APIs."""

from tasks.shard import shard_task
from toolbench.compression import name_keys

compress_shard = shard_task("compress", name_keys)
