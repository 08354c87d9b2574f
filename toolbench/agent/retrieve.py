"""The APIs that a lake's retriever proposes for a question."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from toolbench.errors import LakeError, UsageError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, ResponseKeys, Tool, Verdict
from toolbench.retriever import Searcher
from toolbench.retriever.serving import dense

_SPARE = 8
"""So many times the APIs wanted are ranked at first, as some share a function's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """An API that the retriever proposes."""

    api: Api
    score: float
    """Cosine between the question's and the API document's embeddings: -1 to 1."""


class Retriever:
    """The APIs of a snapshot, and the model that finds among them: loaded once, for any number of questions."""

    def __init__(self, lake: Lake, snapshot: Snapshot, searcher: Searcher) -> None:
        self.place, self.snapshot = lake.uri, snapshot.number
        # Of an id's rows (files of instructions bring some) the last counts, as in training.
        self.apis: Mapping[str, Api] = {api.id: api for api in lake.rows(snapshot, Api)}
        self.tools: Mapping[str, Tool] = {tool.id: tool for tool in lake.rows(snapshot, Tool)}
        self.keys: Mapping[str, list[str]] = {row.id: row.keys for row in lake.rows(snapshot, ResponseKeys)}
        self._searcher, self._one = searcher, threading.Lock()
        retired = {row.id for row in lake.rows(snapshot, Verdict) if row.retired}
        # The catalogue may have lost an API since the training.
        there = [api_id in self.apis and api_id not in retired for api_id in searcher.api_ids]
        self._allowed = np.array(there, dtype=np.bool_)

    def find(self, question: str, top: int, before: str = "") -> list[Retrieved]:
        """The `top` APIs nearest to `question`, best first, no two with the same function name.

        `before`: what the user said last; an API that is near to both together is proposed as well, for a follow-up
        says little by itself. Any thread may ask. Raises UsageError if there is no question or `top` is below 1,
        LakeError if the retriever knows none of the snapshot's APIs.
        """
        check(question, top)
        queries = [question, f"{before}\n{question}"] if before else [question]
        known = int(self._allowed.sum())
        found = self._ranked(queries, min(_SPARE * top, known))
        if len(found) < top:
            found = self._ranked(queries, known)
        if not found:
            raise LakeError(
                f"The retriever of {self.place} knows no API of snapshot {self.snapshot}: run `toolbench refresh`, "
                "which trains another."
            )
        return found[:top]

    def _ranked(self, queries: list[str], depth: int) -> list[Retrieved]:
        """The best `depth` APIs, those left out whose function's name a better one has."""
        if depth == 0:
            return []
        scores: dict[str, float] = {}
        with self._one:
            rankings = self._searcher.rank(queries, depth, self._allowed)
        for ranking in rankings:
            for api_id, score in zip(ranking.api_ids, ranking.scores, strict=True):
                scores[api_id] = max(score, scores.get(api_id, score))
        best: dict[str, Retrieved] = {}
        for api_id, score in sorted(scores.items(), key=lambda item: -item[1]):  # stable: ties stay as ranked
            api = self.apis[api_id]
            best.setdefault(api.function, Retrieved(api=api, score=score))
        return list(best.values())


@contextmanager
def retriever(lake: Lake, snapshot: Snapshot) -> Iterator[Retriever]:
    """The retriever of a snapshot, open for the length of the block.

    Raises LakeError if the snapshot has none, ToolbenchError as `Encoder.load` does.
    """
    with dense(lake, snapshot) as searcher:
        yield Retriever(lake, snapshot, searcher)


def retrieve(lake: Lake, snapshot: Snapshot, question: str, top: int) -> list[Retrieved]:
    """What `Retriever.find` gives, for one question; raises what it and `retriever` raise."""
    check(question, top)
    with retriever(lake, snapshot) as found:
        return found.find(question, top)


def check(question: str, top: int) -> None:
    """Raises UsageError if there is no question or `top` is below 1."""
    if not question.strip():
        raise UsageError("The question is empty: ask something.")
    if top < 1:
        raise UsageError(f"{top} APIs cannot be retrieved: ask for at least 1.")
