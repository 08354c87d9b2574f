"""The report: static pages over one snapshot of the lake, for a person to look at."""

from toolbench.report.build import build

__all__ = ["build"]
