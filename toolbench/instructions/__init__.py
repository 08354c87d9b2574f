"""Instructions: sampled combinations of APIs, what a user might ask of them, filtered and counted."""

from toolbench.instructions import native
from toolbench.instructions.comparing import compare
from toolbench.instructions.generate import TABLES, generate
from toolbench.instructions.planning import STAGE, plan, preview

__all__ = ["STAGE", "TABLES", "compare", "generate", "native", "plan", "preview"]
