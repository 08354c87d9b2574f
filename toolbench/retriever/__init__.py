"""A dense API retriever: trained on retrieval pairs, measured by NDCG on held-out queries, searched exactly.

Importing this package imports neither torch nor sentence-transformers: they load when an `Encoder` does.
"""

from toolbench.encoder import Encoder
from toolbench.promotion import Decision
from toolbench.retriever.config import RetrieverConfig
from toolbench.retriever.corpus import Corpus, corpus_of
from toolbench.retriever.embeddings import EmbeddingCache, identity
from toolbench.retriever.evaluation import KS, Measured, Queries, compare, measure
from toolbench.retriever.index import Index
from toolbench.retriever.leakage import held_out, without_held_out
from toolbench.retriever.lexical import Bm25Index
from toolbench.retriever.metrics import evaluate, scores
from toolbench.retriever.pairs import of_instructions
from toolbench.retriever.promotion import Chosen, choose, decide
from toolbench.retriever.ranking import Ranking, Searcher, fuse
from toolbench.retriever.refresh import MODEL, finished, specification, train_in_lake
from toolbench.retriever.searchers import Dense, Hybrid, dense_over
from toolbench.retriever.serving import INDEX, NEWEST, Indexed, index_in_lake
from toolbench.retriever.train import TrainResult, train

__all__ = [
    "INDEX",
    "KS",
    "MODEL",
    "NEWEST",
    "Bm25Index",
    "Chosen",
    "Corpus",
    "Decision",
    "Dense",
    "EmbeddingCache",
    "Encoder",
    "Hybrid",
    "Index",
    "Indexed",
    "Measured",
    "Queries",
    "Ranking",
    "RetrieverConfig",
    "Searcher",
    "TrainResult",
    "choose",
    "compare",
    "corpus_of",
    "decide",
    "dense_over",
    "evaluate",
    "finished",
    "fuse",
    "held_out",
    "identity",
    "index_in_lake",
    "measure",
    "of_instructions",
    "scores",
    "specification",
    "train",
    "train_in_lake",
    "without_held_out",
]  # fmt: skip
