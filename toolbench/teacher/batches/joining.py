"""One gatherer a process for each endpoint, model and lake, for as long as a shard needs it."""

import threading

from toolbench.settings import TeacherSettings
from toolbench.teacher.batches.gatherer import Gatherer
from toolbench.teacher.batches.submitted import Shelf

_lock = threading.Lock()
_gatherers: dict[object, Gatherer] = {}
_members: dict[Gatherer, int] = {}


def join(url: str, settings: TeacherSettings, shelf: Shelf) -> Gatherer:
    """The gatherer for an endpoint; `leave` has to follow. Raises LakeError."""
    s = settings
    rules = (s.batch_requests, s.batch_bytes, s.batch_linger, s.batch_poll, s.timeout, s.max_retries, s.retry_seconds)
    key = (url, s.api_key.get_secret_value(), s.model, shelf.uri, rules)
    with _lock:
        if key not in _gatherers:
            _gatherers[key] = Gatherer(url, settings, shelf)
        _members[_gatherers[key]] = _members.get(_gatherers[key], 0) + 1
        return _gatherers[key]


def leave(gatherer: Gatherer) -> None:
    """A shard needs it no more; the last one ends it."""
    with _lock:
        _members[gatherer] -= 1
        if not _members[gatherer]:
            del _members[gatherer]
            for key in [key for key, value in _gatherers.items() if value is gatherer]:
                del _gatherers[key]
            gatherer.stop()
