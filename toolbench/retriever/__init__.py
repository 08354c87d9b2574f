"""A dense API retriever: trained on retrieval pairs, measured by NDCG on held-out queries, searched exactly.

Importing this package imports neither torch nor sentence-transformers: they load when an `Encoder` does.
"""

from toolbench.encoder import Encoder
from toolbench.retriever.config import RetrieverConfig
from toolbench.retriever.index import Index
from toolbench.retriever.metrics import evaluate, ndcg, recall
from toolbench.retriever.refresh import MODEL, finished, specification, train_in_lake
from toolbench.retriever.train import TrainResult, train

__all__ = [
    "MODEL", "Encoder", "Index", "RetrieverConfig", "TrainResult", "evaluate", "finished", "ndcg", "recall",
    "specification", "train", "train_in_lake",
]  # fmt: skip
