"""What a refresh changed: APIs by id and by the digest of what they are."""

from collections.abc import Iterable
from dataclasses import dataclass

from toolbench.lake import Entry, Lake
from toolbench.records import Api


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of APIs, each list in order, and how many are as they were."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    unchanged: int

    @property
    def counts(self) -> dict[str, int]:
        """By what happened to them."""
        return {
            "added": len(self.added),
            "changed": len(self.changed),
            "removed": len(self.removed),
            "unchanged": self.unchanged,
        }


def changes(lake: Lake, before: Iterable[Entry], after: Iterable[Entry]) -> Changes:
    """The difference between two sets of files of table `apis`. A file that is in both is not read."""
    old, new = ({e.path: e for e in entries} for entries in (before, after))
    same = old.keys() & new.keys()
    was = lake.digests((e for path, e in old.items() if path not in same), Api)
    now = lake.digests((e for path, e in new.items() if path not in same), Api)
    changed = sorted(i for i in was.keys() & now.keys() if was[i] != now[i])
    return Changes(
        added=sorted(now.keys() - was.keys()),
        changed=changed,
        removed=sorted(was.keys() - now.keys()),
        unchanged=sum(old[path].rows for path in same) + len(was.keys() & now.keys()) - len(changed),
    )
