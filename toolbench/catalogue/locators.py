"""What a document is called by where it lies, for documents that do not say it themselves."""

import re

_SUFFIX = re.compile(r"\.(?:json|ya?ml|postman_collection)$", re.IGNORECASE)
_NAME_LIMIT = 200


def stem(locator: str) -> str:
    """The last part of a path or URL without its suffixes: `lists/weather.json` → `weather`."""
    name = locator.rstrip("/").rpartition("/")[2]
    for _ in range(2):
        name = _SUFFIX.sub("", name)
    return name.strip()[:_NAME_LIMIT] or "unnamed"
