"""What a request refers to and the document does not hold: never imported as if it were not there.

Other files are not read. An operation that refers to one for a parameter or for its body, or stands in one itself, is
known in part: its method, its URL and the parameters in that are known, others may be missing, and be required.

- An operation that changes something (POST, PUT, PATCH, DELETE, …) is rejected: half a request may do half a change.
- GET and HEAD change nothing, so they are imported, and the description says what is not known. Published documents
  that keep every operation in a file of its own would be lost whole otherwise. Whether such an API answers without the
  rest is what screening finds out.

A reference inside the document that leads nowhere is the document's mistake and always a reject. Responses are another
matter: what they refer to is left open.
"""

import re
from collections.abc import Collection

from toolbench.catalogue.drafts import Broken
from toolbench.catalogue.text import clip, plain

_SAFE = frozenset(["get", "head"])
_REFERENCE_LIMIT = 120
_LISTED = 3
_CREDENTIALS = re.compile(r"//[^/@]*@")


class Missing:
    """What of one operation's request the document does not hold."""

    def __init__(self, method: str) -> None:
        self._tolerated = method in _SAFE
        self._told: dict[str, None] = {}
        self._files: list[str] = []

    def tell(self, reference: str, place: str) -> None:
        """Take note of a reference at `place` that is lost; an empty one is none.

        Raises Broken where the operation cannot be imported without what it refers to.
        """
        if not reference:
            return
        shown = _shown(reference)
        if reference.startswith("#"):
            raise Broken("unresolved_reference", place, f"refers to '{shown}', which the document does not hold")
        if not self._tolerated:
            raise external(reference, place)
        self._told[shown] = None

    def leave_out(self, name: str) -> None:
        """Take note of a file that the operation takes and that no call can send."""
        self._files.append(_shown(name))

    @property
    def note(self) -> str:
        """What to say behind the description; empty if nothing is missing."""
        unread = f"Parameters may be missing: some are described in {_listed(self._told)}." if self._told else ""
        files = f"Files cannot be sent: {_listed(self._files)}." if self._files else ""
        return f"{unread} {files}".strip()


def _listed(names: Collection[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(list(names)[:_LISTED]) + more


def external(reference: str, place: str) -> Broken:
    """What to raise for a part that lies in another file."""
    why = f"refers to '{_shown(reference)}', another file, which is not read: bundle the document into one file"
    return Broken("external_reference", place, why)


def _shown(reference: str) -> str:
    return clip(_CREDENTIALS.sub("//", plain(reference)), _REFERENCE_LIMIT)
