"""ToolEval: judging of answers."""

from toolbench.tooleval.judge import STAGE, TABLES, judge, plan

__all__ = ["STAGE", "TABLES", "judge", "plan"]
