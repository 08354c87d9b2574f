"""OpenAI's Batch API: requests in files, answered within a day at a lower price.

Shards of a stage whose requests do not wait for each other hand theirs to one `Gatherer` a process, which sends what
came together as one batch. What was sent stands in the lake until its replies are in journals, so that whoever works on
the shards next, after a kill too, finds what was paid for.
"""

from toolbench.teacher.batches.client import BatchTeacher
from toolbench.teacher.batches.submitted import Shelf

__all__ = ["BatchTeacher", "Shelf"]
