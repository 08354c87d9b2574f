"""The lake's inbox: documents that land in `inbox/<Category>/` are a request for that category, made once.

A request is an object `requests/<Category>/<number>.json` that names the versions of all documents that lay there. It
is created conditionally, so that of several who look one alone makes it; a document of which the newest request does
not have this version makes the next one. Who was killed between making a request and passing it on leaves it without
its `.sent` beside it: whoever looks a minute later passes it on instead.
"""

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import PurePosixPath

from pydantic import BaseModel, ValidationError

from toolbench.catalogue.sources import is_document
from toolbench.errors import LakeError
from toolbench.lake.store import Found, Store

INBOX, REQUESTS = "inbox", "requests"
_LOST_SECONDS = 60.0
"""A request that was not passed on for so long is nobody's any more."""
_LEAST_PAUSE = 1.0


class Request(BaseModel):
    """What was asked for, once."""

    category: str
    number: int
    """1, 2, … for each category."""
    event: uuid.UUID
    """The id of the event that passes it on, the same each time."""
    made_at: float
    """Seconds since 1970."""
    documents: dict[str, str]
    """Paths below the category's folder, with their versions."""

    @property
    def key(self) -> str:
        """Where it lies in the lake, without its ending."""
        return f"{REQUESTS}/{self.category}/{self.number:06d}"

    def source(self, store: Store) -> str:
        """The folder of its documents, as `catalogue.source` takes it."""
        return store.url(f"{INBOX}/{self.category}")


def requests(
    store: Store,
    settle: float,
    *,
    now: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> list[Request]:
    """Requests that are to be passed on now: those for what is new in the inbox, and those that somebody else lost.

    A category in which a document changed within the last `settle` seconds, or changes between two looks, is left for
    another time: somebody is still writing to it. Raises LakeError if the lake cannot be read or written.
    """
    before = _documents(store)
    newest, unsent = _newest(store, before.keys())
    lost = [newest[category] for category in unsent if now() - newest[category].made_at > _LOST_SECONDS]
    fresh = [category for category, found in before.items() if _is_new(found, newest.get(category))]
    if not fresh:
        return lost
    # By the clock of whoever looks, which may be wrong: the second look is what decides.
    youngest = max(one.modified for category in fresh for one in before[category])
    pause(min(max(youngest + settle - now(), _LEAST_PAUSE), settle) if settle else 0.0)
    after = _documents(store)
    made = [_make(store, c, after[c], newest.get(c), now()) for c in fresh if after.get(c) == before[c]]
    again = {request.category for request in made if request}
    return [*(request for request in made if request), *(request for request in lost if request.category not in again)]


def sent(store: Store, request: Request) -> None:
    """Remember that a request was passed on. Raises LakeError."""
    store.write(f"{request.key}.sent", b"")


def strays(store: Store) -> list[str]:
    """What lies in the inbox and will never be looked at: it is no document, or in no category's folder."""
    return [one.key for one in store.look(INBOX) if not _place(one.key) and not _hidden(one.key)]


def _documents(store: Store) -> dict[str, list[Found]]:
    """The documents of each category."""
    found = defaultdict(list)
    for one in store.look(INBOX):
        if category := _place(one.key):
            found[category].append(one)
    return dict(found)


def _place(key: str) -> str:
    """The category that a key of the inbox belongs to; empty if it is no document of one."""
    parts = PurePosixPath(key).parts[1:]
    return parts[0] if len(parts) > 1 and is_document(PurePosixPath(*parts)) else ""


def _hidden(key: str) -> bool:
    return any(part.startswith(".") for part in key.split("/"))


def _newest(store: Store, categories: Collection[str]) -> tuple[dict[str, Request], list[str]]:
    """The newest request of each of these categories that has one, and those that were not passed on."""
    keys = [key for key, _ in store.list(REQUESTS)]
    last = {key.split("/")[1]: key for key in keys if key.endswith(".json")}
    found = {category: _read(store, key) for category, key in last.items() if category in categories}
    return found, [category for category, request in found.items() if f"{request.key}.sent" not in keys]


def _read(store: Store, key: str) -> Request:
    try:
        return Request.model_validate_json(store.read(key))
    except (ValidationError, FileNotFoundError):
        raise LakeError(f"{store.url(key)} is no request of the inbox: remove it.") from None


def _versions(found: list[Found]) -> dict[str, str]:
    return {one.key.split("/", 2)[2]: one.version for one in found}


def _is_new(found: list[Found], newest: Request | None) -> bool:
    known = newest.documents if newest else {}
    return any(known.get(path) != version for path, version in _versions(found).items())


def _make(store: Store, category: str, found: list[Found], newest: Request | None, at: float) -> Request | None:
    """The next request; None if somebody else made it meanwhile."""
    request = Request(
        category=category,
        number=newest.number + 1 if newest else 1,
        event=uuid.uuid4(),
        made_at=at,
        documents=_versions(found),
    )
    made = store.create(f"{request.key}.json", request.model_dump_json().encode())
    return request if made else None
