"""APIBench: does a model call the right API where it has not been trained to? (Patil et al. 2023, "Gorilla".)"""

from toolbench.tooleval.apibench.ask import STAGE, TABLES, Asking, ask, plan
from toolbench.tooleval.apibench.data import SETS, Bench, Document, Question, load, stored
from toolbench.tooleval.apibench.documents import Mode, Retrieve, by_bm25
from toolbench.tooleval.apibench.match import Library, Match
from toolbench.tooleval.apibench.score import Figures, Scored, figures, score

__all__ = [
    "SETS", "STAGE", "TABLES", "Asking", "Bench", "Document", "Figures", "Library", "Match", "Mode", "Question",
    "Retrieve", "Scored", "ask", "by_bm25", "figures", "load", "plan", "score", "stored",
]  # fmt: skip
