"""How good an encoder is on the held-out queries, before and after its training."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from toolbench.encoder import Encoder
from toolbench.records import RetrievalPair
from toolbench.retriever.index import Index
from toolbench.retriever.metrics import evaluate

Metrics = dict[str, Any]
"""`{"all": figures, "group": {"I1": figures, …}, "split": {"tool": figures, …}}`, `figures` as `evaluate` gives them;
empty if no query is held out."""


@dataclass(frozen=True, slots=True)
class HeldOutQueries:
    """The held-out queries: ids and texts in one order, relevant API ids and slice names by query id."""

    ids: list[str]
    texts: list[str]
    relevant: dict[str, set[str]]
    slices: dict[tuple[str, str], list[str]]

    @classmethod
    def of(cls, pairs: Iterable[RetrievalPair]) -> Self:
        """The queries of all pairs that are of another split than `train`."""
        texts: dict[str, str] = {}
        relevant: dict[str, set[str]] = {}
        slices: dict[tuple[str, str], list[str]] = {}
        for pair in sorted((p for p in pairs if p.split != "train"), key=lambda p: (p.query_id, p.api_id)):
            if pair.query_id not in texts:
                texts[pair.query_id] = pair.query
                slices.setdefault(("group", pair.group), []).append(pair.query_id)
                slices.setdefault(("split", pair.split), []).append(pair.query_id)
            relevant.setdefault(pair.query_id, set()).add(pair.api_id)
        return cls(list(texts), list(texts.values()), relevant, slices)

    def missing(self, corpus: Collection[str]) -> tuple[str, str] | None:
        """A query and an API relevant to it that is not among the ids of `corpus`, if there is one."""
        for query_id in self.ids:
            if absent := sorted(self.relevant[query_id].difference(corpus)):
                return query_id, absent[0]
        return None

    def measure(self, encoder: Encoder, index: Index, ks: Sequence[int]) -> Metrics:
        """Figures over all queries and over each slice."""
        if not self.ids:
            return {}
        ranked, _ = index.search(encoder.encode(self.texts), max(ks))
        rankings = dict(zip(self.ids, ranked, strict=True))
        metrics: Metrics = {"all": evaluate(rankings, self.relevant, ks), "group": {}, "split": {}}
        for (kind, name), ids in sorted(self.slices.items()):
            metrics[kind][name] = evaluate(rankings, {i: self.relevant[i] for i in ids}, ks)
        return metrics
