"""What is remembered of an API from night to night: how often in a row it failed, and whether it is retired."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from toolbench.errors import LakeError
from toolbench.lake import Entry, Lake
from toolbench.records import Verdict, VerdictName
from toolbench.screening.rules import FAILING

_COLUMNS = ["id", "verdict", "night", "failed_nights", "retired", "spec"]


@dataclass(frozen=True)
class Before:
    """What was known when a night began; APIs that had not failed stand in neither."""

    failed: dict[str, int] = field(default_factory=dict)
    """By API id: failed nights in a row."""
    retired: frozenset[str] = frozenset()

    def of(self, ids: Iterable[str]) -> dict[str, Any]:
        """The part about some APIs, as parameters of a shard."""
        known = sorted(ids)
        return {
            "failed": {api: self.failed[api] for api in known if api in self.failed},
            "retired": [api for api in known if api in self.retired],
        }


def before(lake: Lake, entries: Iterable[Entry], night: str) -> Before:
    """What the verdicts in some files say was known before `night`.

    A verdict of this very night (or a later one, if an old night is screened again) is not what was known before it:
    then the specification of its shard says with what the night began. So a night counts once, however often it is
    screened.
    """
    failed: dict[str, int] = {}
    retired: set[str] = set()
    began: dict[str, Before] = {}
    for entry in entries:
        for row in lake.table(entry, Verdict).select(_COLUMNS).to_pylist():
            count, gone = int(row["failed_nights"]), bool(row["retired"])
            if row["night"] >= night:
                spec = str(row["spec"])
                if spec not in began:
                    began[spec] = _beginning(lake, spec)
                count, gone = began[spec].failed.get(row["id"], 0), row["id"] in began[spec].retired
            if count:
                failed[row["id"]] = count
            if gone:
                retired.add(row["id"])
    return Before(failed, frozenset(retired))


def _beginning(lake: Lake, spec: str) -> Before:
    try:
        params = lake.spec(f"specs/screening/{spec}.json").params
    except LakeError as error:
        raise LakeError(f"{error} Without it this night cannot be screened again; screen the next one.") from None
    return Before(dict(params["failed"]), frozenset(params["retired"]))


def after(verdict: VerdictName, failed_before: int, nights: int) -> tuple[int, bool]:
    """Failed nights in a row and whether the API is retired, after a night with this verdict.

    A night in which nothing could be found out changes nothing.
    """
    failed = failed_before + 1 if verdict in FAILING else failed_before
    if verdict in ("working", "rate_limited"):
        failed = 0
    return failed, verdict == "unsuitable" or failed >= nights


def changes(lake: Lake, entries: Iterable[Entry]) -> Mapping[str, list[str]]:
    """Ids of the APIs that the night of these verdicts `retired` and `revived`."""
    retired: list[str] = []
    revived: list[str] = []
    began: dict[str, Before] = {}
    for entry in entries:
        for row in lake.table(entry, Verdict).select(_COLUMNS).to_pylist():
            spec = str(row["spec"])
            if spec not in began:
                began[spec] = _beginning(lake, spec)
            was = row["id"] in began[spec].retired
            if row["retired"] != was:
                (retired if row["retired"] else revived).append(row["id"])
    return {"retired": sorted(retired), "revived": sorted(revived)}
