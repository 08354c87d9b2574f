"""The catalogue: tools and APIs of any source, named, with function definitions and hold-out splits.

    catalogue = read("toolenv.tar.gz", categories=["Weather"], holdout=Holdout(tool_share=0.05))

A reader a format (`toolenv`, `openapi`, `native`) makes drafts; `assemble` makes records of the drafts of all.
"""

from toolbench.catalogue.assemble import Catalogue
from toolbench.catalogue.changes import Changes, changes
from toolbench.catalogue.collect import STAGE, TABLES, collect, settle, source_label, write
from toolbench.catalogue.native import Lookup, apis_of_instructions
from toolbench.catalogue.reading import read
from toolbench.catalogue.splits import Holdout

__all__ = [
    "STAGE", "TABLES", "Catalogue", "Changes", "Holdout", "Lookup", "apis_of_instructions", "changes", "collect",
    "read", "settle", "source_label", "write",
]  # fmt: skip
