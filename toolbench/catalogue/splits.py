"""Hold-out by category and by tool: a function of ids alone, so that a split never changes from night to night."""

from dataclasses import dataclass

from toolbench.catalogue.names import category_folder
from toolbench.digests import draw
from toolbench.records import Split


@dataclass(frozen=True, slots=True)
class Holdout:
    """What is kept out of training. Shares lie in [0, 1)."""

    tool_share: float = 0.0
    """Share of tools held out, drawn by the tool's id."""
    category_share: float = 0.0
    """Share of categories held out, drawn by the category's folder name."""
    categories: tuple[str, ...] = ()
    """Categories held out by name, as a source or as a folder spells them."""
    salt: str = ""
    """Another salt is another draw; keep it, and what was held out stays held out."""

    def split_of(self, category: str, tool_id: str) -> Split:
        """`category` or `tool` if held out at that level, the wider one first; else `train`."""
        folder = category_folder(category)
        named = any(category_folder(c) == folder for c in self.categories)
        if named or draw(self.salt, f"category/{folder}") < self.category_share:
            return "category"
        return "tool" if draw(self.salt, tool_id) < self.tool_share else "train"
