"""ToolBench's own documents: one JSON file a tool, `tools/<Category>/<tool>.json`, with its APIs in `api_list`."""

import json
import re
from typing import Any

from toolbench.catalogue.drafts import ApiDraft, Broken, ParameterDraft, Reading, ToolDraft, json_text, pointer, reject
from toolbench.catalogue.parameters import is_credential, typed
from toolbench.catalogue.text import plain
from toolbench.catalogue.urls import urlsplit_safe

ORIGIN = "toolenv"
_RESPONSE_LIMIT = 20_000
_NAME_LIMIT = 500
_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
_WITH_BODY = frozenset(["POST", "PUT", "PATCH"])
_PLACEHOLDER = re.compile(r"\{([^{}/?&=]+)\}")
_HEADERS = re.compile(r"content-type|accept(-[a-z]+)?|(app-|user-)?authorization|x-[a-z-]+|user-agent", re.IGNORECASE)
_TYPES = {
    "NUMBER": "number",
    "FLOAT": "number",
    "INTEGER": "integer",
    "BOOLEAN": "boolean",
    "ARRAY": "array",
    "LIST": "array",
    "OBJECT": "object",
    "MAP": "object",
    "JSON": "object",
}


def read(document: dict[str, Any], locator: str, category: str) -> Reading:
    """The tool of one file. An API that cannot be used becomes a reject; a file without a usable API is one reject."""
    reading = Reading()
    try:
        name = _named(document, "tool_name")
        entries = _listed(document, "api_list")
        if not entries:
            raise Broken("no_apis", "/api_list", "is empty, so the tool has nothing to call")
        base_url = _base_url(document)
        title = _text(document, "title") or name
        description = plain(_text(document, "tool_description"))
    except Broken as broken:
        reading.rejects.append(reject(broken, locator, "", category, document))
        return reading
    apis = []
    for index, entry in enumerate(entries):
        place = pointer("api_list", index)
        try:
            apis.append(read_api(entry, base_url, place))
        except Broken as broken:
            reading.rejects.append(reject(broken, locator, place, category, entry))
    if apis:
        reading.tools.append(
            ToolDraft(
                name=name,
                title=plain(title) or name,
                description=description,
                category=category,
                base_url=base_url,
                origin=ORIGIN,
                locator=locator,
                apis=tuple(apis),
            )
        )
    return reading


def read_api(entry: Any, base_url: str, place: str) -> ApiDraft:
    """One entry of `api_list`. Raises Broken naming the field that is wrong."""
    if not isinstance(entry, dict):
        raise Broken("wrong_type", "", "is no object")
    name = _named(entry, "name")
    method = (_text(entry, "method") or "GET").strip().upper()
    if method not in _METHODS:
        raise Broken("unknown_method", "/method", f"is '{method[:40]}', which is no HTTP method")
    url = _text(entry, "url").strip()
    if url and not urlsplit_safe(url)[0]:
        url = f"{base_url}/{url.lstrip('/')}" if base_url else url
    return ApiDraft(
        name=name,
        description=plain(_text(entry, "description")),
        method=method,
        url=url,
        parameters=_parameters(entry, method, url),
        response_schema=_response_schema(entry.get("schema")),
        response_example=_response_example(entry),
        pointer=place,
    )


def _parameters(entry: dict[str, Any], method: str, url: str) -> tuple[ParameterDraft, ...]:
    """Required ones first; a name that is listed twice counts once, as it stands first."""
    placeholders = {p.lower(): p for p in _PLACEHOLDER.findall(url)}
    found: dict[str, ParameterDraft] = {}
    for field, required in (("required_parameters", True), ("optional_parameters", False)):
        for index, listed in enumerate(_listed(entry, field)):
            try:
                draft = _parameter(listed, required, placeholders, method)
            except Broken as broken:
                raise Broken(broken.reason, pointer(field, index) + broken.pointer, broken.why) from None
            found.setdefault(draft.name, draft)
    for name in placeholders.values():
        # The crawl often leaves out what the URL itself asks for; without it the API could not be called at all.
        found.setdefault(
            name, ParameterDraft(name=name, required=True, description="", schema={"type": "string"}, location="path")
        )
    return tuple(found.values())


def _parameter(listed: Any, required: bool, placeholders: dict[str, str], method: str) -> ParameterDraft:
    if not isinstance(listed, dict):
        raise Broken("wrong_type", "", "is no object")
    name = _named(listed, "name")
    declared = _text(listed, "type").strip().upper()
    kind = _TYPES.get(declared, "string")
    schema: dict[str, Any] = {"type": kind}
    if kind == "array":
        schema["items"] = {"type": "string"}
    example = typed(listed.get("default"), kind)
    if kind == "array" and example is not None:
        example = [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in example]
    name = placeholders.get(name.lower(), name)
    in_path = name in placeholders.values()
    return ParameterDraft(
        name=name,
        required=required or in_path,
        description=plain(_text(listed, "description")),
        schema=schema,
        example=example,
        location="path" if in_path else _location(name, method),
        secret=declared == "CREDENTIALS" or is_credential(name),
    )


def _location(name: str, method: str) -> str:
    """The crawl does not say where a parameter goes: header names go there, the rest where the method puts data."""
    if _HEADERS.fullmatch(name):
        return "header"
    return "body" if method in _WITH_BODY else "query"


def _response_schema(schema: Any) -> str | None:
    if isinstance(schema, str):
        schema = _parsed(schema)
    return json_text(schema, _RESPONSE_LIMIT) if isinstance(schema, dict) and schema else None


def _response_example(entry: dict[str, Any]) -> str | None:
    for field in ("body", "template_response"):
        value = entry.get(field)
        if isinstance(value, str) and value.strip():
            value = _parsed(value, value)
        if value not in (None, "", {}, []):
            return json_text(value, _RESPONSE_LIMIT)
    return None


def _parsed(text: str, otherwise: Any = None) -> Any:
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return otherwise


def _base_url(document: dict[str, Any]) -> str:
    host = _text(document, "host").strip().rstrip("/")
    if not host:
        return ""
    scheme, rest = urlsplit_safe(host)
    return host if scheme and rest else f"https://{host}"


def _named(document: dict[str, Any], field: str) -> str:
    """A name exactly as it is spelled: it is matched with names in other files and sent on the wire."""
    name = _text(document, field, required=True)
    if not name.strip():
        raise Broken("empty_name", pointer(field), "is empty, so there is nothing to call it by")
    if len(name) > _NAME_LIMIT:
        raise Broken("long_name", pointer(field), f"has {len(name)} characters; a name has {_NAME_LIMIT} at most")
    return name


def _text(document: dict[str, Any], field: str, *, required: bool = False) -> str:
    """A text field; missing and null count as empty unless it is required."""
    value = document.get(field)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise Broken("wrong_type", pointer(field), f"must be text and is {_kind_of(value)}")
    return value


def _listed(document: dict[str, Any], field: str) -> list[Any]:
    value = document.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Broken("wrong_type", pointer(field), f"must be a list and is {_kind_of(value)}")
    return value


def _kind_of(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "a boolean", int: "a number", float: "a number", str: "text"}
    return kinds.get(type(value), "missing")
