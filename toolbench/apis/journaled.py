"""What earlier runs were answered: the `api_calls` of a lake's newest snapshot, to be answered from again."""

from pathlib import Path
from typing import Any

from toolbench.apis.values import read_json
from toolbench.digests import digest
from toolbench.lake import Lake
from toolbench.records import ApiCall, Response

_REAL = ("live", "recorded", "server")
_OF_THE_MOMENT = (5, 9, 10, 12)
"""Timeouts, rate limits and lost connections say nothing about the call itself."""


def lake_at(source: str) -> Lake | None:
    """The lake that `source` names, or None if there is none. Raises UsageError for a protocol no lake has."""
    if "://" not in source and not (Path(source).expanduser() / "lake.json").is_file():
        return None
    lake = Lake(source)
    return lake if lake.store.exists("lake.json") else None


def calls_of(lake: Lake, number: int) -> tuple[dict[str, list[tuple[dict[str, Any], Response]]], str]:
    """The really answered calls of a snapshot by API id, and a digest of the files they are in.

    Simulated answers are left out, and failures of the moment. Of equal calls a good answer comes last, so that it is
    the one found. Raises LakeError if a file is gone or damaged.
    """
    snapshot = lake.snapshot(number)
    found: dict[str, list[tuple[dict[str, Any], Response]]] = {}
    for row in lake.pick(snapshot, ApiCall, "source", _REAL):
        if row.status in _OF_THE_MOMENT:
            continue
        try:
            arguments, response = read_json(row.arguments or "{}"), read_json(row.response)
        except ValueError:
            continue
        if isinstance(arguments, dict):
            answer = Response(error=row.error, response=response, status=row.status, source="recorded")
            found.setdefault(row.api_id, []).append((arguments, answer))
    for calls in found.values():
        calls.sort(key=lambda call: call[1].status == 0)
    return found, digest(sorted(entry.sha256 for entry in snapshot.entries(ApiCall.TABLE)))
