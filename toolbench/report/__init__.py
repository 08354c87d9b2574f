"""The report: static pages over one snapshot of the lake, for a person to look at."""

from toolbench.report.build import build
from toolbench.report.publish import publish
from toolbench.report.samples import INSTRUCTIONS_PER_GROUP

__all__ = ["INSTRUCTIONS_PER_GROUP", "build", "publish"]
