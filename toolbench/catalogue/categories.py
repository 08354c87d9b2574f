"""Which category a document names, and which categories a user asked for."""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Set
from functools import cache
from importlib.resources import files
from typing import Any

from toolbench.catalogue.names import category_folder, standardise
from toolbench.errors import UsageError

OTHER = "Other"
_LISTED = 60
_UNSAFE = re.compile(r"[^\w&+'()-]+")

# https://github.com/APIs-guru/openapi-directory lists its categories; ours are ToolBench's 49.
_APISGURU = {
    "analytics": "Data",
    "backend": "Database",
    "cloud": "Storage",
    "collaboration": "Business_Software",
    "customer_relation": "Business_Software",
    "developer_tools": "Tools",
    "ecommerce": "eCommerce",
    "education": "Education",
    "email": "Email",
    "enterprise": "Business",
    "entertainment": "Entertainment",
    "events": "Events",
    "financial": "Finance",
    "forms": "Business_Software",
    "hosting": "Storage",
    "iot": "Devices",
    "location": "Location",
    "machine_learning": "Artificial_Intelligence_Machine_Learning",
    "marketing": "Advertising",
    "media": "Media",
    "messaging": "Communication",
    "monitoring": "Monitoring",
    "open_data": "Data",
    "payment": "Payments",
    "project_management": "Business_Software",
    "search": "Search",
    "security": "Cybersecurity",
    "social": "Social",
    "storage": "Storage",
    "support": "Business_Software",
    "telecom": "Communication",
    "text": "Text_Analysis",
    "time_management": "Tools",
    "tools": "Tools",
    "transport": "Transportation",
}


@cache
def topics() -> dict[str, dict[str, Any]]:
    """ToolBench's 49 categories by folder name, each with a `description` and a list of telling `words`."""
    text = files("toolbench.catalogue").joinpath("topics.json").read_text("utf-8")
    loaded: dict[str, dict[str, Any]] = json.loads(text)
    return loaded


def category_of(info: dict[str, Any], given: str | None, tags: Iterable[object] = ()) -> str:
    """The folder of the category a document names; empty if nothing names one.

    In this order: its `x-category`, its `x-apisguru-categories`, the one `given` by the user, a category that its
    `tags` name. Tags name one only if they name no other and it stands for at least half of the distinct tags: `search`
    among twenty tags is a part of the service, not its topic.
    """
    own = info.get("x-category")
    if isinstance(own, str) and (folder := safe_folder(own)):
        return folder
    listed = info.get("x-apisguru-categories")
    for name in listed if isinstance(listed, list) else ():
        if isinstance(name, str) and name in _APISGURU:
            return _APISGURU[name]
    return safe_folder(given or "") or _tagged(tags)


def _tagged(tags: Iterable[object]) -> str:
    distinct = {name for tag in tags if isinstance(tag, str) and (name := standardise(tag))}
    hits = distinct & _by_standard_name().keys()
    return _by_standard_name()[hits.pop()] if len(hits) == 1 and len(distinct) <= 2 else ""


@cache
def _by_standard_name() -> dict[str, str]:
    """Other left out: as a tag it says nothing."""
    return {standardise(folder): folder for folder in topics() if folder != OTHER}


def safe_folder(category: str) -> str:
    """The folder name with nothing in it that could name another folder; empty if nothing is left."""
    return _UNSAFE.sub("_", category_folder(category.strip())).strip("_-")[:80]


def chosen(asked: Collection[str] | None, available: Set[str]) -> Set[str]:
    """The folders of the categories asked for; all of them if none is. Case does not matter.

    Raises UsageError naming the first category that the source does not have, and near ones or all there are.
    """
    if not asked:
        return available
    by_lower = {folder.lower(): folder for folder in available}
    found = set()
    for name in asked:
        folder = by_lower.get(category_folder(name.strip()).lower())
        if folder is None:
            near = difflib.get_close_matches(category_folder(name).lower(), by_lower, n=3, cutoff=0.6)
            raise UsageError(
                f"The catalogue has no category '{name}': {_offer([by_lower[n] for n in near], available)}."
            )
        found.add(folder)
    return found


def _offer(near: list[str], available: Set[str]) -> str:
    if near:
        return f"did you mean {' or '.join(near)}"
    listed = sorted(available)
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return f"it has {', '.join(listed[:_LISTED])}{more}" if listed else "it has none at all"
