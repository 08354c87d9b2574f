"""Chat completions: the client, and the offline teacher in `toolbench.teacher.offline`."""

from toolbench.teacher.client import Teacher

__all__ = ["Teacher"]
