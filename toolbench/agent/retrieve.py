"""The APIs that a lake's retriever proposes for a question."""

from dataclasses import dataclass

from toolbench.errors import LakeError, UsageError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api
from toolbench.retriever.serving import dense


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """An API that the retriever proposes."""

    api: Api
    score: float
    """Cosine between the question's and the API document's embeddings: -1 to 1."""


def retrieve(lake: Lake, snapshot: Snapshot, question: str, top: int) -> list[Retrieved]:
    """The `top` APIs of `snapshot` nearest to `question`, best first, no two with the same function name.

    Raises UsageError if there is no question or `top` is below 1, LakeError if the snapshot has no retriever or none of
    its APIs, ToolbenchError as `Encoder.load` does.
    """
    if not question.strip():
        raise UsageError("The question is empty: ask something.")
    if top < 1:
        raise UsageError(f"{top} APIs cannot be retrieved: ask for at least 1.")
    functions = _functions(lake, snapshot)
    best: dict[str, tuple[str, float]] = {}  # function → API id and score
    for api_id, score in _ranked(lake, snapshot, question):
        # The catalogue may have lost an API since the training; a name can be offered once, so the better API has it.
        if api_id in functions and functions[api_id] not in best:
            best[functions[api_id]] = (api_id, score)
        if len(best) == top:
            break
    if not best:
        raise LakeError(
            f"The retriever of {lake.uri} knows no API of snapshot {snapshot.number}: run `toolbench refresh`, which "
            "trains another."
        )
    apis = {api.id: api for api in lake.pick(snapshot, Api, "id", {api_id for api_id, _ in best.values()})}
    return [Retrieved(api=apis[api_id], score=score) for api_id, score in best.values()]


def _functions(lake: Lake, snapshot: Snapshot) -> dict[str, str]:
    """API id → function name. Of an id's rows (files of instructions bring some) the last counts, as in training."""
    functions: dict[str, str] = {}
    for entry in snapshot.entries(Api.TABLE):
        found = lake.table(entry, Api).select(["id", "function"]).to_pydict()
        functions |= dict(zip(found["id"], found["function"], strict=True))
    return functions


def _ranked(lake: Lake, snapshot: Snapshot, question: str) -> list[tuple[str, float]]:
    """Every API id of the retriever's index with its score, best first."""
    with dense(lake, snapshot) as searcher:
        (found,) = searcher.rank([question], max(1, len(searcher.api_ids)))
    return list(zip(found.api_ids, found.scores, strict=True))
