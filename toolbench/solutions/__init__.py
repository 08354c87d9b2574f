"""Solution paths: the teacher works on an instruction by calling APIs (ReAct, DFSDT, ranked depth-first search)."""

from toolbench.solutions.annotate import STAGE, TABLES, annotate, plan
from toolbench.solutions.calls import FINISH, FINISH_DEFINITION, INVENTED
from toolbench.solutions.messages import Task, opening, prompt_digest, said_in, training_samples
from toolbench.solutions.react_text import parse_react
from toolbench.solutions.rules import Method, Preset, Rules, preset
from toolbench.solutions.search import Ask, Call, CallMade, SearchResult, search
from toolbench.solutions.tree import Message

__all__ = [
    "FINISH",
    "FINISH_DEFINITION",
    "INVENTED",
    "STAGE",
    "TABLES",
    "Ask",
    "Call",
    "CallMade",
    "Message",
    "Method",
    "Preset",
    "Rules",
    "SearchResult",
    "Task",
    "annotate",
    "opening",
    "parse_react",
    "plan",
    "preset",
    "prompt_digest",
    "said_in",
    "search",
    "training_samples",
]
