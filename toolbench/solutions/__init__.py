"""Solution paths: the teacher works on an instruction by calling APIs (ReAct, DFSDT, ranked depth-first search)."""

from toolbench.react_text import parse_react
from toolbench.solutions.annotate import STAGE, TABLES, annotate, plan
from toolbench.solutions.messages import Task, prompt_digest
from toolbench.solutions.rules import Method, Preset, Rules, preset
from toolbench.solutions.search import Ask, Call, CallMade, SearchResult, Tell, search
from toolbench.solutions.solve import CallApi, Chat, shown, solve
from toolbench.solutions.training import training_samples

__all__ = [
    "STAGE",
    "TABLES",
    "Ask",
    "Call",
    "CallApi",
    "CallMade",
    "Chat",
    "Method",
    "Preset",
    "Rules",
    "SearchResult",
    "Task",
    "Tell",
    "annotate",
    "parse_react",
    "plan",
    "preset",
    "prompt_digest",
    "search",
    "shown",
    "solve",
    "training_samples",
]
