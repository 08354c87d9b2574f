"""The offline teacher: an OpenAI-compatible endpoint that works by rules on words, for use without a key or a network.

It sees what any endpoint sees, the request, and its reply is a pure function of it. It writes instructions from API
documents, chooses calls and fills their arguments, answers from what was observed, and judges answers. What it makes is
a sensible dataset to build and test with, no substitute for a language model's: its rows say `offline-teacher`.
"""

from toolbench.teacher.offline.complete import MODEL, BadRequestError, complete
from toolbench.teacher.offline.faults import Faults
from toolbench.teacher.offline.server import create_app, serve

__all__ = ["MODEL", "BadRequestError", "Faults", "complete", "create_app", "serve"]
