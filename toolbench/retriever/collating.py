"""From a planned batch to what the trainer feeds to the loss: queries, documents and which belongs to which."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolbench.records import RetrievalPair
from toolbench.retriever.batching import names, relevant_names

Negatives = Callable[[int, str], Sequence[tuple[str, str]]]
"""A batch's number and a query → the query's hard negatives as (API id, document)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Each text once. `relevance[i][j]` says what document j is to query i, as `toolbench.retriever.loss` reads it."""

    queries: list[str]
    documents: list[str]
    relevance: list[list[int]]


class Assembler:
    """Makes batches of positions in `pairs`."""

    def __init__(self, pairs: Sequence[RetrievalPair]) -> None:
        self._pairs = pairs
        self._relevant = relevant_names(pairs)

    def assemble(self, number: int, positions: Sequence[int], negatives: Negatives) -> Batch:
        """Batch `number`: some pairs and their queries' hard negatives.

        A document that is relevant to a query, by API or by text, is never its negative: not another pair's, not a hard
        negative of another query.
        """
        queries: dict[str, set[str]] = {}
        documents: dict[str, set[str]] = {}
        for pair in (self._pairs[p] for p in positions):
            queries.setdefault(pair.query, set()).update(names(pair.api_id, pair.document))
            documents.setdefault(pair.document, set()).update(names(pair.api_id, pair.document))
        for query in queries:
            for api_id, text in negatives(number, query):
                documents.setdefault(text, set()).update(names(api_id, text))
        relevance = [
            [self._relation(query, wanted, offered) for offered in documents.values()]
            for query, wanted in queries.items()
        ]
        return Batch(list(queries), list(documents), relevance)

    def _relation(self, query: str, wanted: set[str], offered: set[str]) -> int:
        if not wanted.isdisjoint(offered):
            return 1
        return -1 if not self._relevant[query].isdisjoint(offered) else 0


class Collator:
    """Rows of the trainer's data set, `{"batch": number}`, to tensors, in order of length: then chunks pad little."""

    valid_label_columns = ("label",)

    def __init__(
        self, model: Any, assembler: Assembler, batches: Sequence[Sequence[int]], negatives: Negatives
    ) -> None:
        self._model, self._assembler, self._batches, self._negatives = model, assembler, batches, negatives

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        import torch

        number = rows[0]["batch"]
        batch = self._assembler.assemble(number, self._batches[number], self._negatives)
        out: dict[str, Any] = {}
        orders = []
        for name, texts in (("query", batch.queries), ("document", batch.documents)):
            features = self._model.preprocess(texts)
            order = features["attention_mask"].sum(dim=1).argsort(stable=True)
            out |= {f"{name}_{key}": _sorted(value, order) for key, value in features.items()}
            orders.append(order)
        out["label"] = torch.tensor(batch.relevance, dtype=torch.int8)[orders[0]][:, orders[1]]
        return out


def _sorted(value: Any, order: Any) -> Any:
    return value[order] if hasattr(value, "ndim") and value.ndim and len(value) == len(order) else value
