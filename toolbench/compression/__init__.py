"""Response compression: the keys of each API's responses that matter, named once by the teacher."""

from toolbench.compression.examples import Example
from toolbench.compression.name import STAGE, TABLES, name_keys, plan

__all__ = ["STAGE", "TABLES", "Example", "name_keys", "plan"]
