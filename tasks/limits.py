"""Names of the global concurrency limits that all workers share: one a teacher's endpoint."""

import re
from urllib.parse import urlsplit

from toolbench.settings import OPENAI, Settings


def endpoint_limit(base_url: str) -> str:
    """The limit's name for an endpoint: its host, port and path in letters that Prefect takes in a name."""
    parts = urlsplit(base_url)
    # Not `netloc`, which may hold a password.
    place = "-".join(str(part) for part in (parts.hostname, parts.port, parts.path.strip("/")) if part)
    return f"teacher-{re.sub(r'[^A-Za-z0-9.]+', '-', place).strip('-')}"


def endpoints(settings: Settings) -> list[str]:
    """Addresses of all endpoints that these settings ask, the judge's too; none if the offline teacher is meant, which
    each run starts for itself."""
    found: list[str] = []
    for teacher in (settings.teacher, settings.as_judge().teacher):
        if not teacher.offline:
            found += [teacher.base_url] if teacher.base_url else [] if teacher.endpoints else [OPENAI]
            found += list(teacher.endpoints)
    return list(dict.fromkeys(found))
