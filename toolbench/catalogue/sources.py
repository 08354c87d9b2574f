"""Where documents come from: a file, a folder, a tarball, a URL, an index of URLs, an MCP server."""

import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from toolbench.catalogue import mcp_live, web
from toolbench.catalogue.decode import MAX_BYTES, decode
from toolbench.catalogue.drafts import Broken
from toolbench.catalogue.mcp import SCHEME
from toolbench.catalogue.mcp_commands import STDIO
from toolbench.catalogue.mcp_commands import shown as shown_server
from toolbench.errors import LakeError, SourceError
from toolbench.lake.store import Store

_SUFFIXES = (".json", ".yaml", ".yml")
_MCP_URLS = (f"{SCHEME}http://", f"{SCHEME}https://")
_S3 = "s3://"
_TARBALLS = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz")


@dataclass(frozen=True, slots=True)
class Raw:
    """One document as it was found, or why it was not."""

    locator: str
    """A path inside the source, or a URL."""
    folder: str
    """The name of the folder it lies in; empty where that says nothing about its category."""
    content: bytes | Broken


@dataclass(frozen=True, slots=True)
class Source:
    """An opened source; `alone` if the user named this one document, so that its failure is the user's error."""

    name: str
    alone: bool
    documents: Iterator[Raw]


def open_source(source: str, headers: Mapping[str, str] | None = None) -> Source:
    """The documents of `source`; `headers` are sent to the host of a URL.

    Raises SourceError in one sentence if it is missing or cannot be read.
    """
    if source.startswith(STDIO):
        return _server(shown_server(source), mcp_live.of_command(source))
    if source.startswith(_MCP_URLS):
        return _server(shown_server(source), mcp_live.at_address(source, headers))
    if source.startswith(("http://", "https://")):
        return _open_url(source, headers)
    if source.startswith(_S3):
        return _in_bucket(source)
    path = Path(source)
    try:
        if path.is_dir():
            return Source(source, False, _in_folder(path))
        if not path.is_file():
            raise SourceError(_missing(source))
        if path.name.lower().endswith(_TARBALLS):
            return Source(source, False, _in_tarball(path))
        return Source(source, True, iter([Raw(path.name, path.absolute().parent.name, _bytes_of(path))]))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise SourceError(f"The catalogue source {source!r} cannot be read: {reason}.") from None


def _in_folder(root: Path) -> Iterator[Raw]:
    try:
        found = sorted(p for p in root.rglob("*") if is_document(PurePosixPath(p.relative_to(root).as_posix())))
    except OSError as error:
        raise SourceError(f"The folder {root} cannot be read: {error.strerror}.") from None
    for path in found:
        if path.is_file():
            relative = path.relative_to(root)
            folder = relative.parent.name or root.absolute().name
            try:
                content: bytes | Broken = _bytes_of(path)
            except OSError as error:
                content = Broken("unreadable", "", f"cannot be read: {error.strerror}")
            yield Raw(relative.as_posix(), folder, content)


def _in_bucket(source: str) -> Source:
    """A document or a folder of them in object storage, configured as for the lake."""
    try:
        store = Store(source)
        listed = store.look("")
        if [one.key for one in listed] == [""]:
            if source.lower().endswith(_TARBALLS):
                return Source(source, False, _in_tarball(source, store.fs.open(store.root)))
            parent, _, name = store.uri.rpartition("/")
            return Source(source, True, iter([Raw(name, parent.rpartition("/")[2], store.read(""))]))
    except (LakeError, FileNotFoundError) as error:
        raise SourceError(f"The catalogue source {source} cannot be read: {_reason(error)}") from None
    if not listed:
        raise SourceError(_missing(source))
    documents = [one for one in listed if is_document(PurePosixPath(one.key))]
    return Source(source, False, (_object(store, one.key, one.size) for one in documents))


def _object(store: Store, key: str, size: int) -> Raw:
    folder = PurePosixPath(key).parent.name or store.root.rpartition("/")[2]
    try:
        content: bytes | Broken = (
            store.read(key) if size <= MAX_BYTES else Broken("too_large", "", f"has {size:,} bytes")
        )
    except (LakeError, FileNotFoundError) as error:
        content = Broken("unreadable", "", f"cannot be read: {_reason(error)}")
    return Raw(key, folder, content)


def _reason(error: Exception) -> str:
    """Without the lake, which this is not."""
    return "it is gone" if isinstance(error, FileNotFoundError) else str(error).partition(": ")[2] or str(error)


def _in_tarball(path: Path | str, stream: IO[bytes] | None = None) -> Iterator[Raw]:
    """Streams: one member is in memory at a time, and nothing is ever written to the disk."""
    try:
        with tarfile.open(path, "r|*", fileobj=stream) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if not member.isfile() or not is_document(name):
                    continue
                if member.size > MAX_BYTES:
                    content: bytes | Broken = Broken("too_large", "", f"has {member.size:,} bytes")
                else:
                    content = _read_all(archive.extractfile(member))
                yield Raw(name.as_posix(), name.parent.name, content)
    except (tarfile.TarError, OSError, EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, ValueError) as error:
        raise SourceError(f"The tarball {path} cannot be read to its end: {error}; it may be cut short.") from None


def _read_all(stream: IO[bytes] | None) -> bytes:
    return stream.read() if stream else b""


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def is_document(path: PurePosixPath) -> bool:
    """True for JSON and YAML files outside hidden folders; `.json` is the crawl's file of a tool named in Hangul."""
    hidden = path.name.startswith(".") and path.name != ".json"
    hidden = hidden or any(part.startswith(".") for part in path.parts[:-1])
    return path.name.lower().endswith(_SUFFIXES) and not hidden


def _missing(source: str) -> str:
    command = f", or {STDIO}COMMAND ARGS… to start an MCP server" if " " in source else ""
    return f"The catalogue source {source} does not exist: give a file, a folder, a tarball or a URL{command}."


def _server(name: str, document: bytes) -> Source:
    return Source(name, True, iter([Raw(name, "", document)]))


def _open_url(url: str, headers: Mapping[str, str] | None) -> Source:
    """What lies at a URL: a document, an index of documents, or an MCP server that does not answer a plain GET."""
    shown = web.without_credentials(url)
    try:
        content = web.fetch(url, headers)
    except Broken as broken:
        if not (isinstance(broken, web.NoDocument) and broken.maybe_mcp):
            raise SourceError(f"The catalogue URL {shown} {broken.why}.") from None
        try:
            return _server(shown_server(url), mcp_live.at_address(url, headers))
        except SourceError as error:
            raise SourceError(f"The catalogue URL {shown} {broken.why}, and is no MCP server either: {error}") from None
    listed = _index_of(content, shown)
    if listed is None:
        return Source(shown, True, iter([Raw(shown, "", content)]))
    return Source(shown, False, _in_index(url, listed, headers))


def _in_index(url: str, listed: list[object], headers: Mapping[str, str] | None) -> Iterator[Raw]:
    """The documents an index names; only those on the index's own host are fetched."""
    for entry in listed:
        try:
            target = web.on_same_host(url, entry)
        except Broken as broken:
            yield Raw(f"{web.without_credentials(url)} entry {str(entry)[:200]!r}", "", broken)
            continue
        try:
            content: bytes | Broken = web.fetch(target, headers)
        except Broken as broken:
            content = broken
        yield Raw(web.without_credentials(target), "", content)


def _index_of(content: bytes, locator: str) -> list[object] | None:
    """The entries of an index document `{"openapi": [URL, …]}`; None if it is no index."""
    try:
        document = decode(content, locator)
    except Broken:
        return None
    listed = document.get("openapi") if isinstance(document, dict) else None
    return listed if isinstance(listed, list) else None
