"""Global concurrency limits that all workers share: one a teacher's endpoint. A shard leases the slots it uses."""

import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import ceil
from threading import Event, Lock, Thread
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound

from toolbench.settings import OPENAI, Settings, TeacherSettings

_LOOK_SECONDS = 30.0
"""How long a limit, or that there is none, is remembered: somebody may change it in the UI."""
_LEASE_SECONDS = 60
"""Prefect's shortest: so soon the slots of a process that was killed are free again."""
_WAIT_SECONDS = 1.0
"""Between two looks whether slots are free, half as long at least and one and a half times at most."""

_log = logging.getLogger(__name__)
_known: dict[str, tuple[float, int]] = {}
_lock = Lock()


def endpoint_limit(base_url: str) -> str:
    """The limit's name for an endpoint: its host, port and path in letters that Prefect takes in a name."""
    parts = urlsplit(base_url)
    # Not `netloc`, which may hold a password.
    place = "-".join(str(part) for part in (parts.hostname, parts.port, parts.path.strip("/")) if part)
    return f"teacher-{re.sub(r'[^A-Za-z0-9.]+', '-', place).strip('-')}"


def endpoints(settings: Settings) -> list[str]:
    """Addresses of all endpoints that these settings ask, the judge's too; none if the offline teacher is meant, which
    each run starts for itself."""
    found = [url for teacher in (settings.teacher, settings.as_judge().teacher) for url in _shares(teacher)]
    return list(dict.fromkeys(found))


def _shares(teacher: TeacherSettings) -> dict[str, float]:
    """Each endpoint's share of the requests."""
    if teacher.offline:
        return {}
    first = teacher.base_url or ("" if teacher.endpoints else OPENAI)
    weights: Mapping[str, float] = ({first: 1.0} if first else {}) | dict(teacher.endpoints)
    return {url: weight / sum(weights.values()) for url, weight in weights.items()}


@contextmanager
def slots(settings: Settings, records: int, check: Callable[[], None]) -> Iterator[Settings]:
    """Slots of the teacher's endpoints for one shard of so many records, for the length of the block.

    Gives settings that ask for no more at once than was leased. An endpoint without a limit costs one look in half a
    minute and nothing is leased; so it is while Prefect's server cannot be asked, for a limit is no reason to lose what
    was paid for. `check` is called every second or so of waiting: what it raises ends that. A lease ends by itself a
    minute after its process was killed.
    """
    wanted = max(1, min(settings.teacher.max_concurrency, records))
    with ExitStack() as leases:
        least = wanted
        # Always in the same order: two shards that wait for each other's slots would wait for ever.
        for url, share in sorted(_shares(settings.teacher).items()):
            name, mine = endpoint_limit(url), ceil(wanted * share)
            if (limit := _limit(name)) > 0:
                least = min(least, max(1, int(min(mine, limit) / share)))
                leases.enter_context(_lease(name, min(mine, limit), check))
        yield settings if least == wanted else settings.with_(teacher={"max_concurrency": least})


@contextmanager
def _lease(name: str, occupy: int, check: Callable[[], None]) -> Iterator[None]:
    """So many slots of one limit, as soon as they are free.

    Prefect's own `concurrency` cannot be told to give up waiting without an error in the log each time.
    """
    with get_client(sync_client=True) as client:
        lease = _taken(client, name, occupy, check)
        if lease is None:
            yield
            return
        over = Event()
        renewing = Thread(target=_renew, args=(name, lease, over), daemon=True, name=f"lease of {name}")
        renewing.start()
        try:
            yield
        finally:
            over.set()
            try:
                client.release_concurrency_slots_with_lease(lease)
            except Exception as error:  # it ends by itself
                _log.warning("the slots of %s could not be given back: %s", name, error)


def _taken(client: SyncPrefectClient, name: str, occupy: int, check: Callable[[], None]) -> UUID | None:
    """The lease; None if there is no way to get one."""
    while True:
        check()
        try:
            got = client.increment_concurrency_slots_with_lease([name], occupy, "concurrency", _LEASE_SECONDS)
            return UUID(got.json()["lease_id"])
        except Exception as error:
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0
            if status != httpx.codes.LOCKED:
                _log.warning("no slots of %s could be leased, the shard goes on without: %s", name, error)
                return None
        time.sleep(_WAIT_SECONDS * (0.5 + random.random()))


def _renew(name: str, lease: UUID, over: Event) -> None:
    while not over.wait(_LEASE_SECONDS / 3):
        try:
            with get_client(sync_client=True) as client:
                client.renew_concurrency_lease(lease, _LEASE_SECONDS)
        except Exception as error:
            _log.warning("the lease of slots of %s could not be renewed: %s", name, error)


def _limit(name: str) -> int:
    """How many slots a limit has; 0 if there is none, if it is switched off or cannot be asked for."""
    with _lock:
        at, value = _known.get(name, (float("-inf"), 0))
        if time.monotonic() - at < _LOOK_SECONDS:
            return value
        try:
            with get_client(sync_client=True) as client:
                found = client.read_global_concurrency_limit_by_name(name)
            value = found.limit if found.active else 0
        except ObjectNotFound:
            value = 0
        except Exception as error:
            _log.warning("the limit %s cannot be looked up, the shard goes on without: %s", name, error)
            value = 0
        _known[name] = (time.monotonic(), value)
        return value
