"""Training conversations and retrieval pairs."""

from toolbench.datasets.build import STAGE, TABLES, build, plan

__all__ = ["STAGE", "TABLES", "build", "plan"]
