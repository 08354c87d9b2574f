"""Have a judge vote on the answers of one shard, or compare them with others."""

from tasks.shard import shard_task
from toolbench.tooleval import comparing, voting

vote_shard = shard_task("vote", voting.vote)
compare_shard = shard_task("compare", comparing.compare)
