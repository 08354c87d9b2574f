"""Bytes in object storage: the few operations the lake needs, over fsspec (`file`, `s3`, `memory`)."""

import builtins
import contextlib
import errno
import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

from toolbench.errors import LakeError, UsageError

_PROTOCOLS = ("file", "s3", "memory")
PATIENCE = 60.0
"""Seconds for which an S3 server that does not answer, or says that it cannot just now, is asked again."""
_LONGEST_PAUSE = 4.0
_memory_lock = threading.Lock()
"""fsspec's memory file system looks and then writes: between threads that is no compare-and-set."""


@dataclass(frozen=True, slots=True)
class Found:
    """One object of a listing."""

    key: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since 1970, by the storage's clock."""
    version: str
    """Another one whenever the object is written or touched: S3's entity tag and time, or a file's size and time."""


class Store:
    """A folder in object storage, addressed by relative keys.

    `uri` is a local path, `file://…`, `s3://bucket/prefix` or `memory://…`. S3 is configured the usual way for s3fs:
    `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_ENDPOINT_URL`, or the config files of the AWS tools.
    Raises UsageError for any other protocol.
    """

    def __init__(self, uri: str) -> None:
        self.protocol = urlsplit(uri).scheme if "://" in uri else "file"
        if self.protocol not in _PROTOCOLS:
            raise UsageError(
                f"The lake {uri!r} uses {self.protocol}://; give a local path, s3://bucket/prefix or memory://name."
            )
        if self.protocol == "file":
            uri = str(Path(uri.removeprefix("file://")).expanduser().absolute())
        elif self.protocol == "s3" and not urlsplit(uri).netloc:
            raise UsageError(f"The lake {uri!r} names no bucket; write s3://bucket/prefix.")
        self.uri = uri.rstrip("/")
        # Listings must be fresh: another writer's manifest has to be seen at once.
        self.fs = fsspec.filesystem(self.protocol, **({"use_listings_cache": False} if self.protocol == "s3" else {}))
        self.root: str = self.fs._strip_protocol(self.uri)

    def path(self, key: str) -> str:
        """The key as a path of the file system, for readers that take one together with `fs`."""
        return f"{self.root}/{key}" if key else self.root

    def url(self, key: str) -> str:
        """The key as an address a user can open with any tool."""
        return self.path(key) if self.protocol == "file" else f"{self.uri}/{key}"

    def read(self, key: str) -> bytes:
        """The bytes under `key`. Raises FileNotFoundError if there are none, LakeError if storage fails."""
        try:
            data: bytes = self._patiently(self.fs.cat_file, self.path(key))
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._failed("read", key, error) from error
        return data

    def write(self, key: str, data: bytes) -> None:
        """Put `data` under `key` in one step: a reader sees all of it or none."""
        try:
            if self.protocol == "file":
                self._write_local(Path(self.path(key)), data)
            else:
                self._patiently(self.fs.pipe_file, self.path(key), data)
        except Exception as error:
            raise self._failed("write", key, error) from error

    def create(self, key: str, data: bytes) -> bool:
        """Put `data` under `key` only if nothing is there; False if somebody else was first.

        S3 decides by `If-None-Match: *`. Servers word the refusal differently, and an answer can be lost after the put
        went through; so after any error the bytes that are there decide.
        """
        try:
            if self.protocol == "file":
                return self._create_local(Path(self.path(key)), data)
            with _memory_lock if self.protocol == "memory" else contextlib.nullcontext():
                self._patiently(self.fs.pipe_file, self.path(key), data, mode="create")
        except Exception as error:
            try:
                found = self.read(key)
            except FileNotFoundError:
                raise self._failed("write", key, error) from error
            return found == data
        return True

    def exists(self, key: str) -> bool:
        """True if there are bytes under `key`."""
        try:
            # Not `isfile`, which takes a server that does not answer for a file that is not there.
            return bool(self._patiently(self.fs.info, self.path(key))["type"] == "file")
        except FileNotFoundError:
            return False
        except Exception as error:
            raise self._failed("read", key, error) from error

    def list(self, prefix: str) -> "builtins.list[tuple[str, int]]":
        """Keys and sizes in bytes of everything below the folder `prefix`, sorted; empty if there is none.

        Names that start with a dot are left out: a writer that was killed may have left such a file half-written.
        """
        return [(found.key, found.size) for found in self.look(prefix)]

    def look(self, prefix: str) -> "builtins.list[Found]":
        """The same with what tells one version of an object from the next."""
        try:
            found: dict[str, dict[str, Any]] = self._patiently(self.fs.find, self.path(prefix), detail=True)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._failed("list", prefix, error) from error
        skip = len(self.root) + 1
        files = ((path[skip:], info) for path, info in found.items() if info["type"] == "file")
        shown = ((key, info) for key, info in files if not key.rpartition("/")[2].startswith("."))
        return sorted((_found(key, info) for key, info in shown), key=lambda one: one.key)

    def delete(self, keys: "builtins.list[str]") -> None:
        """Remove the bytes under `keys`; what is already gone is no error."""
        try:
            for start in range(0, len(keys), 500):
                present = [self.path(k) for k in keys[start : start + 500]]
                if self.protocol != "s3":
                    present = [p for p in present if self.fs.isfile(p)]
                if present:
                    self._patiently(self.fs.rm, present)
        except Exception as error:
            raise self._failed("delete from", "", error) from error

    def _patiently(self, ask: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """What `ask` gives. A server that is away for a moment is asked again: the work of a shard hangs on it."""
        deadline, pause = time.monotonic() + (PATIENCE if self.protocol == "s3" else 0.0), 0.25
        while True:
            try:
                return ask(*arguments, **more)
            except Exception as error:
                if time.monotonic() + pause > deadline or not _away(error):
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _failed(self, verb: str, key: str, error: Exception) -> LakeError:
        hint = {
            errno.ENOSPC: "The disk is full: free some space, then run the same command again.",
            errno.EACCES: "Permission is denied: give this user the right to write there or choose another --lake.",
            errno.EROFS: "The file system is read-only: choose another --lake.",
            errno.EDQUOT: "The disk quota is used up: free some space, then run the same command again.",
            errno.ENOTDIR: "A file stands where a folder is needed: choose another --lake.",
            errno.EEXIST: "A file stands where a folder is needed: choose another --lake.",
        }.get(getattr(error, "errno", None) or 0)
        if isinstance(error, PermissionError) and hint is None:
            hint = "Permission is denied: check the credentials and the bucket's policy."
        detail = " ".join(str(error).split())[:300] or type(error).__name__
        return LakeError(f"Cannot {verb} the lake at {self.url(key)}: {hint or detail}")

    @staticmethod
    def _temporary(target: Path) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")

    def _write_local(self, target: Path, data: bytes) -> None:
        temporary = self._temporary(target)
        try:
            temporary.write_bytes(data)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _create_local(self, target: Path, data: bytes) -> bool:
        temporary = self._temporary(target)
        try:
            temporary.write_bytes(data)
            os.link(temporary, target)  # fails if the target exists: the file system's own compare-and-set
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True


def _found(key: str, info: dict[str, Any]) -> Found:
    """An entry of fsspec's listing: local files have `mtime`, S3 `ETag` and `LastModified`, memory `created`."""
    at = info.get("mtime", info.get("LastModified", info.get("created", 0.0)))
    modified = at.timestamp() if isinstance(at, datetime) else float(at)
    size = int(info["size"] or 0)
    return Found(key, size, modified, f"{str(info.get('ETag', '')).strip(chr(34))}-{size}-{modified!r}")


def _away(error: BaseException | None) -> bool:
    """Whether an S3 server could not be reached, broke off, or says by 5xx or 429 that it cannot answer just now.

    s3fs hands on what botocore raised, or makes an OSError of it whose cause that is.
    """
    from botocore.exceptions import ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NotConnectedError

    while error is not None:
        if isinstance(error, NotConnectedError | HTTPClientError | ConnectionError | TimeoutError):
            return True
        if isinstance(error, ClientError):
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            return status >= 500 or status == 429
        error = error.__cause__
    return False


def sha256(data: bytes) -> str:
    """Hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()
