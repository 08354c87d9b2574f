"""Train the retriever, choose which one serves, index for it: a task each, since one model is one piece of work."""

from tasks.shard import model_task
from toolbench.encoder import Progress
from toolbench.lake import Lake, ModelEntry, Snapshot
from toolbench.progress import Counter
from toolbench.retriever import Chosen, Indexed, choose, index_in_lake, train_in_lake
from toolbench.settings import Settings


@model_task("train retriever", "train retriever from {base}")
def train_retriever_shard(lake: Lake, view: Snapshot, settings: Settings, base: str, counter: Counter) -> ModelEntry:
    """The trained model's place in the lake; `base` is for the run's name."""
    return train_in_lake(lake, view, settings, _telling(counter))


@model_task("choose retriever")
def choose_retriever_shard(
    lake: Lake, view: Snapshot, settings: Settings, newest: ModelEntry, counter: Counter
) -> Chosen:
    """Which model serves from now on, by figures, with its index over all APIs of `view`."""
    return choose(lake, view, newest, settings, _telling(counter))


@model_task("index retriever")
def index_retriever_shard(lake: Lake, view: Snapshot, model: ModelEntry, counter: Counter) -> Indexed:
    """The index of all APIs of `view` for a model: only what changed is encoded."""
    return index_in_lake(lake, view, model, _telling(counter))


def _telling(counter: Counter) -> Progress:
    def progress(_: str, done: int, total: int) -> None:
        counter.done, counter.total = done, total
        counter.report()

    return progress
