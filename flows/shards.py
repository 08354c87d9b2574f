"""work-on-shards: a batch of one stage's shards, for another flow's run that waits for them."""

from typing import Annotated

from prefect import flow, get_run_logger
from pydantic import Field

from flows.dispatch import FLOW
from flows.parameters import Options
from flows.stage import Threads, run_shards
from flows.terms import Terms, settled
from tasks.annotate import annotate_shard
from tasks.compress import compress_shard
from tasks.evaluate import compare_shard, vote_shard
from tasks.generate import generate_shard
from tasks.judge import judge_shard
from toolbench import compression, instructions, solutions, tooleval
from toolbench.errors import UsageError
from toolbench.lake import Lake
from toolbench.tooleval import comparing, voting

TASKS = {  # those that wait for a teacher; what only computes is done before another process has started
    compression.STAGE: compress_shard,
    instructions.STAGE: generate_shard,
    solutions.STAGE: annotate_shard,
    tooleval.STAGE: judge_shard,
    voting.STAGE: vote_shard,
    comparing.STAGE: compare_shard,
}


@flow(name=FLOW, task_runner=Threads)
def work_on_shards(
    options: Options, stage: str, shards: Annotated[list[str], Field(min_length=1, max_length=100)], judge: bool = False
) -> int:
    """Work on some of a stage's shards; gives how many were not done yet. Another flow's run dispatches this one.

    Args:
        options: What is to be done, and where, as the other run resolved it; keys come from this worker's environment.
        stage: The stage, such as solutions.
        shards: Keys of the shards' specifications in the lake.
        judge: The judge is asked instead of the teacher.
    """
    if stage not in TASKS:
        raise UsageError(f"There is no stage {stage!r}; there are: {', '.join(TASKS)}.")
    settings = settled(Terms(options, judge)).with_(work={"dispatch": ""})
    lake = Lake(settings.lake)
    outcome = run_shards(lake, TASKS[stage], [lake.spec(key) for key in shards], settings, stage)
    done = len(outcome.receipts) - outcome.reused
    get_run_logger().info("%d shards, %d were done already", len(shards), outcome.reused)
    return done
