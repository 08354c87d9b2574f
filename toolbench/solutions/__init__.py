"""Solution paths: the teacher works on an instruction by calling APIs (ReAct, DFSDT, ranked depth-first search)."""

from toolbench.solutions.annotate import STAGE, TABLES, annotate, plan
from toolbench.solutions.messages import Task, prompt_digest, training_samples
from toolbench.solutions.react_text import parse_react
from toolbench.solutions.rules import Method, Preset, Rules, preset
from toolbench.solutions.search import Ask, Call, CallMade, SearchResult, search

__all__ = [
    "STAGE",
    "TABLES",
    "Ask",
    "Call",
    "CallMade",
    "Method",
    "Preset",
    "Rules",
    "SearchResult",
    "Task",
    "annotate",
    "parse_react",
    "plan",
    "preset",
    "prompt_digest",
    "search",
    "training_samples",
]
