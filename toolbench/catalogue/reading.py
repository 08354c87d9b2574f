"""`read`: from a source, whatever it is, to a catalogue."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from toolbench.catalogue import mcp, native, openapi, postman, toolenv
from toolbench.catalogue.assemble import Catalogue, assemble
from toolbench.catalogue.categories import safe_folder
from toolbench.catalogue.decode import decode
from toolbench.catalogue.drafts import Broken, Reading, reject
from toolbench.catalogue.infer import fill
from toolbench.catalogue.sources import Raw, Source, open_source
from toolbench.catalogue.splits import Holdout
from toolbench.errors import SourceError

_KNOWN = (
    "ToolBench toolenv, OpenAPI 3, Swagger 2, Postman collection 2, MCP tools/list and ToolBench instruction documents"
)


def read(
    source: str,
    *,
    categories: Collection[str] | None = None,
    category: str | None = None,
    holdout: Holdout,
    headers: Mapping[str, str] | None = None,
    known: Mapping[str, str] | None = None,
) -> Catalogue:
    """The tools and APIs of `source`, and what of it could not be used.

    `source` is a ToolBench toolenv folder or tarball (`<Category>/<tool>.json`), an OpenAPI 3.0/3.1 or Swagger 2.0
    document in JSON or YAML, a Postman collection (2.0, 2.1), an MCP server's `tools/list` result, a folder of such
    documents, the http(s) URL of one or of an index `{"openapi": [URL, …]}`, a ToolBench instruction file, or a running
    MCP server: `stdio:COMMAND ARGS…`, which is started and ended again, or its URL.

    `categories` keeps only these; `category` is for documents that name none; `headers`, such as Authorization, go to
    the host of a URL and nowhere else. Tools in no category get the nearest, or the one that `known` says was found for
    them before (see `infer.fill`).

    Raises SourceError if the source is missing, unreadable or holds nothing known; UsageError for a category that it
    does not have.
    """
    opened = open_source(source, headers)
    readings = fill(_readings(opened, category), known)
    if not any(r.tools for r in readings):
        _explain(opened, readings)
    return assemble(readings, categories=categories, holdout=holdout)


def _readings(opened: Source, category: str | None) -> Iterator[Reading]:
    for raw in opened.documents:
        try:
            yield _reading(raw, category)
        except Broken as broken:
            if opened.alone:
                raise SourceError(f"The catalogue source {opened.name} {broken.why}.") from None
            yield Reading(rejects=[reject(broken, raw.locator, "", _unread_category(raw), None)])


def _reading(raw: Raw, category: str | None) -> Reading:
    """One document, by what it looks like. Raises Broken if it is none that is known."""
    if isinstance(raw.content, Broken):
        raise raw.content
    document = decode(raw.content, raw.locator)
    try:
        return _recognised(document, raw, category)
    except RecursionError:
        raise Broken("too_deep", "", "is nested too deeply") from None


def _recognised(document: Any, raw: Raw, category: str | None) -> Reading:
    if isinstance(document, dict):
        if "openapi" in document or "swagger" in document:
            return openapi.read(document, raw.locator, category)
        if "api_list" in document and "query" not in document:
            return toolenv.read(document, raw.locator, safe_folder(raw.folder) or safe_folder(category or ""))
        if postman.recognised(document):
            return postman.read(document, raw.locator, category)
    if isinstance(document, list) and any(isinstance(e, dict) and "api_list" in e for e in document):
        return native.read(document, raw.locator)
    if mcp.recognised(document):
        return mcp.read(document, raw.locator, category)
    raise Broken("unknown_format", "", f"is none of {_KNOWN}")


def _unread_category(raw: Raw) -> str:
    """A toolenv file's folder is its category even if nothing in it can be read; other folders say nothing."""
    return safe_folder(raw.folder) if "/" in raw.locator and not raw.locator.startswith("http") else ""


def _explain(opened: Source, readings: list[Reading]) -> None:
    """Nothing usable at all is the user's error: name the first cause."""
    first = next((r for reading in readings for r in reading.rejects), None)
    if first is None:
        raise SourceError(f"The catalogue source {opened.name} holds no JSON or YAML document.")
    raise SourceError(
        f"The catalogue source {opened.name} holds no API that can be used; the first document: {first.detail}"
    )
