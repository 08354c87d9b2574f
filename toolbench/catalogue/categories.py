"""Which category an OpenAPI document belongs to, and which categories a user asked for."""

import difflib
import re
from collections.abc import Collection, Set
from typing import Any

from toolbench.catalogue.names import category_folder
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


def category_of(info: dict[str, Any], given: str | None) -> str:
    """The category folder: the document's `x-category`, its `x-apisguru-categories`, the one `given`, else Other."""
    own = info.get("x-category")
    if isinstance(own, str) and (folder := safe_folder(own)):
        return folder
    listed = info.get("x-apisguru-categories")
    for name in listed if isinstance(listed, list) else ():
        if isinstance(name, str) and name in _APISGURU:
            return _APISGURU[name]
    return safe_folder(given or "") or OTHER


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
