"""OpenAPI 3.0, 3.1 and Swagger 2.0 documents: a tool a document, an API an operation.

Tolerant per document and strict per operation: what is broken is rejected with its JSON pointer, the rest is read.
"""

from typing import Any

from toolbench.catalogue import swagger2
from toolbench.catalogue.categories import category_of
from toolbench.catalogue.drafts import Broken, Reading, ToolDraft, pointer, reject
from toolbench.catalogue.openapi_operations import NAME_LIMIT, Operations
from toolbench.catalogue.schemas import Schemas
from toolbench.catalogue.text import plain
from toolbench.catalogue.urls import urlsplit_safe

ORIGIN = "openapi"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def read(document: dict[str, Any], locator: str, category: str | None) -> Reading:
    """The document's tool. A document without a title or without operations is one reject."""
    reading = Reading()
    if "swagger" in document:
        document = swagger2.upgraded(document)
    info = document.get("info")
    info = info if isinstance(info, dict) else {}
    folder = category_of(info, category, _tags(document))
    try:
        operations = _operations(document)
        reader = Operations(document, locator)
        title = _title(info, reader.base_url)
    except Broken as broken:
        reading.rejects.append(reject(broken, locator, "", folder, {"info": info}))
        return reading
    apis = []
    for path, method, item, operation in operations:
        place = pointer("paths", path, method) if method else pointer("paths", path)
        try:
            apis.append(reader.read(path, method, item, operation, place))
        except Broken as broken:
            reading.rejects.append(reject(broken, locator, place, folder, operation if method else item))
        except RecursionError:
            # Depth is bounded wherever a document is walked; only values copied whole, such as examples, can do this.
            deep = Broken("too_deep", "", "is nested too deeply")
            reading.rejects.append(reject(deep, locator, place, folder, None))
    if apis:
        tool = ToolDraft(
            name=title,
            title=plain(title) or title,
            description=plain(info["description"]) if isinstance(info.get("description"), str) else "",
            category=folder,
            collections=_collections(info),
            base_url=reader.base_url,
            origin=ORIGIN,
            locator=locator,
            apis=tuple(apis),
        )
        reading.tools.append(tool)
    return reading


def _operations(document: dict[str, Any]) -> list[tuple[str, str, Any, Any]]:
    """(path, method, path item, operation); the method is empty for a path item of which no operation is known."""
    paths = document.get("paths")
    if paths is not None and not isinstance(paths, dict):
        raise Broken("wrong_type", "/paths", "must be an object of path items")
    schemas = Schemas(document)
    found: list[tuple[str, str, Any, Any]] = []
    for path, listed in (paths or {}).items():
        if path.startswith("x-"):
            continue
        item = _path_item(schemas, listed)
        methods = [m for m in METHODS if m in item] if isinstance(item, dict) else []
        found.extend((path, method, item, item[method]) for method in methods)
        if not methods and (not isinstance(item, dict) or "$ref" in item):
            found.append((path, "", item, None))
    if not found:
        raise Broken("no_apis", "/paths", "holds no operation, so the tool has nothing to call")
    return found


def _path_item(schemas: Schemas, listed: Any) -> Any:
    """The path item, with what it refers to; as it stands where that is lost, for the reference to be told."""
    item = schemas.follow(listed)
    if item is listed or schemas.lost(listed):
        return listed
    return {**item, **{k: v for k, v in listed.items() if k != "$ref"}} if isinstance(item, dict) else item


def _tags(document: dict[str, Any]) -> list[str]:
    """The names of the tags that the document declares, and those that its operations carry."""
    declared, paths = document.get("tags"), document.get("paths")
    found = [t.get("name") for t in declared if isinstance(t, dict)] if isinstance(declared, list) else []
    for item in paths.values() if isinstance(paths, dict) else ():
        for operation in item.values() if isinstance(item, dict) else ():
            carried = operation.get("tags") if isinstance(operation, dict) else None
            found += carried if isinstance(carried, list) else []
    return [t for t in found if isinstance(t, str)]


def _title(info: dict[str, Any], base_url: str) -> str:
    """The document's title; published documents leave it out, and then the host names the tool."""
    title = info.get("title")
    if isinstance(title, str) and title.strip():
        return title.strip()[:NAME_LIMIT]
    host = urlsplit_safe(base_url)[1]
    if not host:
        raise Broken("empty_name", "/info/title", "is missing or empty and no server is named: nothing to call it by")
    return host[:NAME_LIMIT]


def _collections(info: dict[str, Any]) -> tuple[str, ...]:
    listed = info.get("x-collections")
    names = [plain(c) for c in listed if isinstance(c, str)] if isinstance(listed, list) else []
    return tuple(sorted({n for n in names if n}))
