"""The ranking losses: in-batch softmax over cosines in which a query's other relevant APIs are no negatives.

Imported by `fit` alone: importing this module imports torch.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss
from torch import Tensor, nn
from torch.nn.functional import normalize

Features = dict[str, Any]
"""One column of a batch as `SentenceTransformer.preprocess` gives it."""


def ranking(
    queries: Tensor, documents: Tensor, relevance: Tensor, scale: float, dimensions: Sequence[int] = ()
) -> Tensor:
    """The mean over all pairs of -log softmax of the pair's score among itself and the query's negatives.

    `queries` and `documents` have shape (n, d) and (m, d); `relevance` has (n, m): 1 a pair to learn, 0 a negative, -1
    neither (relevant, but not a pair of this batch). Where each query has one pair and nothing is -1, this is the
    multiple negatives ranking loss (Henderson et al. 2017). `dimensions`: the mean over the leading dimensions of each
    of these sizes, too (Matryoshka, Kusupati et al. 2022).
    """
    losses = []
    for size in dict.fromkeys((queries.shape[1], *dimensions)):
        left, right = (normalize(side[:, :size].float(), dim=1) for side in (queries, documents))
        scores = scale * left @ right.T
        # Not -inf: the gradient of a softmax over nothing but -inf is undefined.
        negatives = scores.masked_fill(relevance != 0, torch.finfo(scores.dtype).min).logsumexp(1, keepdim=True)
        terms = torch.logaddexp(scores, negatives) - scores
        losses.append(terms[relevance > 0].mean())
    return torch.stack(losses).mean()


class RankingLoss(nn.Module):
    """`ranking` over one forward and backward pass, in chunks of like length, each no wider than its longest text."""

    def __init__(self, model: Any, scale: float, chunk: int, dimensions: Sequence[int] = ()) -> None:
        super().__init__()
        self.model = model
        self.scale, self.chunk, self.dimensions = scale, chunk, tuple(dimensions)

    def forward(self, sentence_features: Iterable[Features], labels: Tensor) -> Tensor:
        queries, documents = (self._embed(features) for features in sentence_features)
        return ranking(queries, documents, labels, self.scale, self.dimensions)

    def _embed(self, features: Features) -> Tensor:
        rows = len(features["input_ids"])
        parts = [_rows(features, start, min(start + self.chunk, rows)) for start in range(0, rows, self.chunk)]
        return torch.cat([self.model(part)["sentence_embedding"] for part in parts])


class CachedRankingLoss(CachedMultipleNegativesRankingLoss):
    """`ranking` with cached gradients (Gao et al. 2021): memory for a chunk, not a batch; a forward pass more."""

    def __init__(self, model: Any, scale: float, chunk: int, dimensions: Sequence[int] = ()) -> None:
        super().__init__(model, scale=scale, mini_batch_size=chunk)
        self.dimensions = tuple(dimensions)

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss of a whole batch from the embeddings of its chunks; with `with_backward` their gradients, too."""
        queries, documents = (torch.cat(column) for column in reps)
        loss = ranking(queries, documents, cast(Tensor, labels), self.scale, self.dimensions)
        if with_backward:
            loss.backward()  # type: ignore[no-untyped-call]
            loss = loss.detach()
        return loss


def _rows(features: Features, start: int, end: int) -> Features:
    """Some rows, without the columns that are padding in all of them."""
    mask = features["attention_mask"][start:end]
    width = int(mask.any(dim=0).nonzero().max()) + 1
    return {
        key: value[start:end, :width] if value.ndim > 1 else value[start:end]
        for key, value in features.items()
        if isinstance(value, Tensor)
    } | {key: value for key, value in features.items() if not isinstance(value, Tensor)}
