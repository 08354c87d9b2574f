"""What was sent to the Batch API and is not yet in a journal: one small file a batch, `batches/<name>.json`."""

import builtins
import time
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from toolbench.errors import LakeError

VERSION = 1
FOLDER = "batches"
_KEPT_SECONDS = 30 * 24 * 3600
"""After that no endpoint has the replies any more."""


class Shelf(Protocol):
    """Where the files are: the lake's store."""

    uri: str

    def read(self, key: str) -> bytes:
        """Raises FileNotFoundError if there is nothing under `key`."""

    def write(self, key: str, data: bytes) -> None:
        """In one step: a reader sees all of it or none."""

    def list(self, prefix: str) -> "builtins.list[tuple[str, int]]":
        """Keys and sizes below a folder."""

    def delete(self, keys: "builtins.list[str]") -> None:
        """What is already gone is no error."""

    def url(self, key: str) -> str:
        """The key as an address a user can open."""


class Submitted(BaseModel):
    """One batch. The file is written before anything is sent, and again once the batch has an id."""

    model_config = ConfigDict(extra="forbid")

    version: int = VERSION
    name: str
    """Ours, drawn anew for every batch; the batch carries it in its metadata."""
    url: str
    """The endpoint's base URL."""
    model: str
    created_at: float
    """Seconds since 1970."""
    file: str = ""
    """The endpoint's id of the file of requests; empty until it was taken."""
    batch: str = ""
    """The endpoint's id of the batch; empty until it was created, as far as we were told."""
    requests: list[str]
    """Custom ids of the requests whose replies are not known to be in a journal: `<name of the request>-<line>`."""

    @property
    def key(self) -> str:
        """Where in the lake it is."""
        return f"{FOLDER}/{self.name}.json"

    def save(self, shelf: Shelf) -> None:
        """Write it, or remove it where nothing of it is wanted any more. Raises LakeError."""
        if self.requests:
            shelf.write(self.key, self.model_dump_json().encode())
        else:
            self.forget(shelf)

    def forget(self, shelf: Shelf) -> None:
        """Remove it. Raises LakeError."""
        shelf.delete([self.key])


def name_of(custom_id: str) -> str:
    """The request's name in a custom id."""
    return custom_id.rpartition("-")[0]


def load(shelf: Shelf, url: str, model: str) -> list[Submitted]:
    """The batches of an endpoint and model, oldest first; removes those that are too old to be of use.

    Raises LakeError if one is damaged or was written by a newer toolbench.
    """
    found = []
    for key, _ in shelf.list(FOLDER):
        try:
            item = Submitted.model_validate_json(shelf.read(key))
        except FileNotFoundError:
            continue  # another process has just had its last reply
        except ValidationError:
            raise LakeError(
                f"{shelf.url(key)} is damaged, or was written by a newer toolbench; remove it to ask again for the "
                "batch it names."
            ) from None
        if time.time() - item.created_at > _KEPT_SECONDS:
            item.forget(shelf)
        elif (item.url, item.model) == (url, model) and item.version == VERSION:
            found.append(item)
    return sorted(found, key=lambda item: (item.created_at, item.name))
