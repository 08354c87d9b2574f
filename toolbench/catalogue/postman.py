"""Postman collections, format 2.0 and 2.1: a tool a collection, an API a request.

https://schema.postman.com says what a collection looks like. Tolerant per request and strict per field. Scripts are
never looked at, and the values of credentials go into no record, not even into that of a reject.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from toolbench.catalogue.categories import safe_folder
from toolbench.catalogue.drafts import ApiDraft, Broken, Reading, ToolDraft, pointer, reject
from toolbench.catalogue.locators import stem
from toolbench.catalogue.names import standardise
from toolbench.catalogue.postman_requests import Scope, request_api
from toolbench.catalogue.postman_values import Secrets, Variables, described
from toolbench.catalogue.text import plain
from toolbench.catalogue.urls import urlsplit_safe

ORIGIN = "postman"
_FOLDERS = 32
_NAME_LIMIT = 200


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry that is no folder, or a folder that cannot be read."""

    entry: Any
    place: str
    scope: Scope
    broken: Broken | None = None


def recognised(document: dict[str, Any]) -> bool:
    """True for a collection, and for the `{"collection": …}` that Postman's own API hands out."""
    collection = _unwrapped(document)
    info = collection.get("info")
    if not isinstance(info, dict):
        return isinstance(collection.get("requests"), list) and isinstance(collection.get("order"), list)
    schema = info.get("schema")
    named = "_postman_id" in info or (isinstance(schema, str) and "getpostman.com" in schema)
    return named or isinstance(collection.get("item"), list)


def read(document: dict[str, Any], locator: str, category: str | None) -> Reading:
    """The collection's tool. A collection without requests is one reject."""
    reading = Reading()
    folder = safe_folder(category or "")
    collection = _unwrapped(document)
    root = "" if collection is document else "/collection"
    secrets = Secrets(collection)
    try:
        found = _entries(collection, root)
    except Broken as broken:
        reading.rejects.append(reject(broken, locator, "", folder, {"name": _name(collection)}))
        return reading
    shared = Counter(standardise(_name(f.entry)) for f in found)
    apis = []
    for one in found:
        try:
            if one.broken:
                raise one.broken
            apis.append(request_api(one.entry, one.scope, secrets, _api_name(one, shared), one.place))
        except Broken as broken:
            reading.rejects.append(reject(broken, locator, one.place, folder, _outline(one.entry)))
        except RecursionError:
            deep = Broken("too_deep", "", "is nested too deeply")
            reading.rejects.append(reject(deep, locator, one.place, folder, _outline(one.entry)))
    if apis:
        reading.tools.append(_tool(collection, locator, folder, tuple(apis)))
    return reading


def _unwrapped(document: dict[str, Any]) -> dict[str, Any]:
    inner = document.get("collection")
    return inner if isinstance(inner, dict) and "info" not in document else document


def _entries(collection: dict[str, Any], root: str) -> list[_Found]:
    items = collection.get("item")
    if items is None and "requests" in collection:
        raise Broken("old_format", "", "is a Postman collection of format 1: export it as Collection v2.1")
    if not isinstance(items, list):
        raise Broken("wrong_type", f"{root}/item", "must be a list of requests and folders")
    scope = Scope(Variables(collection.get("variable")), collection.get("auth"), ())
    found = list(_walk(items, f"{root}/item", scope))
    if not found:
        raise Broken("no_apis", f"{root}/item", "holds no request, so the tool has nothing to call")
    return found


def _walk(items: list[Any], place: str, scope: Scope) -> Iterator[_Found]:
    for index, entry in enumerate(items):
        here = place + pointer(index)
        if not isinstance(entry, dict) or "item" not in entry:
            yield _Found(entry, here, scope)
        elif not isinstance(entry["item"], list):
            yield _Found(entry, here, scope, Broken("wrong_type", "/item", "must be a list of requests and folders"))
        elif len(scope.folders) >= _FOLDERS:
            yield _Found(entry, here, scope, Broken("too_deep", "", f"lies more than {_FOLDERS} folders deep"))
        else:
            yield from _walk(entry["item"], f"{here}/item", _within(scope, entry))


def _within(scope: Scope, folder: dict[str, Any]) -> Scope:
    variables = Variables(folder["variable"], scope.variables) if "variable" in folder else scope.variables
    auth = folder.get("auth")
    return Scope(variables, scope.auth if auth is None else auth, (*scope.folders, plain(_name(folder))[:_NAME_LIMIT]))


def _api_name(found: _Found, shared: Counter[str]) -> str:
    """The request's name, behind its folder's where several requests share it: `List` of `Users` is `Users List`."""
    name = _name(found.entry)
    folder = found.scope.folders[-1] if found.scope.folders else ""
    return f"{folder} {name}".strip() if name and shared[standardise(name)] > 1 else name


def _name(entry: Any) -> str:
    holder = entry.get("info", entry) if isinstance(entry, dict) else None
    name = holder.get("name") if isinstance(holder, dict) else None
    return name.strip()[:_NAME_LIMIT] if isinstance(name, str) else ""


def _tool(collection: dict[str, Any], locator: str, folder: str, apis: tuple[ApiDraft, ...]) -> ToolDraft:
    info = collection.get("info")
    name = _name(collection) or stem(locator)
    origins = Counter("://".join(urlsplit_safe(api.url)) for api in apis)
    return ToolDraft(
        name=name,
        title=plain(name) or name,
        description=described(info),
        category=folder,
        base_url=origins.most_common(1)[0][0],
        origin=ORIGIN,
        locator=locator,
        apis=apis,
    )


def _outline(entry: Any) -> dict[str, Any]:
    """What a reject may show of a request: anything else could be a credential."""
    request = entry.get("request") if isinstance(entry, dict) else None
    method = request.get("method") if isinstance(request, dict) else None
    return {"name": _name(entry), "method": method[:20] if isinstance(method, str) else ""}
