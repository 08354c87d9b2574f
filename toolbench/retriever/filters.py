"""Which of a lake's APIs a search may find: by category, by tool, by what screening found out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from toolbench.errors import UsageError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Verdict
from toolbench.retriever.ranking import Mask

_NAMED = 8
"""Names that an error lists at most."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked of an API; what is left empty asks nothing."""

    categories: Collection[str] = ()
    tools: Collection[str] = ()
    """Ids, or names as their sources spell them; case does not matter."""
    working: bool = False
    """Not retired, and not found to be anything but working when it was screened; one never screened may be found."""


def allowed(lake: Lake, snapshot: Snapshot, api_ids: Sequence[str], filters: Filters) -> Mask:
    """For each of `api_ids`, whether it is an API of the snapshot and passes.

    Raises UsageError for a category or a tool that the snapshot does not have.
    """
    rows: dict[str, tuple[str, str, str]] = {}
    for entry in snapshot.entries(Api.TABLE):
        columns = lake.table(entry, Api).select(["id", "category", "tool_id", "tool"]).to_pydict()
        named = zip(columns["category"], columns["tool_id"], columns["tool"], strict=True)
        rows |= dict(zip(columns["id"], named, strict=True))
    categories = _known("category", filters.categories, [{c} for c, _, _ in rows.values()])
    tools = _known("tool", filters.tools, [{i, name} for _, i, name in rows.values()])
    broken = _broken(lake, snapshot) if filters.working else set()
    passing = {
        api_id for api_id, (category, tool_id, tool) in rows.items()
        if (not categories or category.casefold() in categories)
        and (not tools or not tools.isdisjoint((tool_id.casefold(), tool.casefold())))
        and api_id not in broken
    }  # fmt: skip
    return np.array([api_id in passing for api_id in api_ids], dtype=np.bool_)


def _known(kind: str, wanted: Collection[str], there: Sequence[set[str]]) -> set[str]:
    """The wanted names, case folded."""
    names = {name for found in there for name in found}
    folded = {name.casefold() for name in names}
    for name in wanted:
        if name.casefold() not in folded:
            shown = sorted(names)
            few = ", ".join(shown[:_NAMED]) + (f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else "")
            raise UsageError(f"The lake has no {kind} {name!r}; it has {few or 'none'}.")
    return {name.casefold() for name in wanted}


def _broken(lake: Lake, snapshot: Snapshot) -> set[str]:
    found: set[str] = set()
    for entry in snapshot.entries(Verdict.TABLE):
        columns = lake.table(entry, Verdict).select(["id", "verdict", "retired"]).to_pydict()
        for api_id, verdict, retired in zip(columns["id"], columns["verdict"], columns["retired"], strict=True):
            if retired or verdict not in ("working", "unknown"):
                found.add(api_id)
    return found
