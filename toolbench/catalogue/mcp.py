"""`tools/list` results of MCP servers: a tool a server, an API a tool of it.

https://modelcontextprotocol.io/specification says what a list looks like. Tolerant per tool and strict per field: what
is broken is rejected with its JSON pointer, the rest is read. Tools are called by name through their server, so an API
has its server's address for a URL (`mcp+https://…`), and none where only the list is known.
"""

from typing import Any

from toolbench.catalogue.categories import safe_folder
from toolbench.catalogue.drafts import ApiDraft, Broken, ParameterDraft, Reading, ToolDraft, json_text, pointer, reject
from toolbench.catalogue.locators import stem
from toolbench.catalogue.parameters import EXAMPLE_LIMIT, is_credential, typed
from toolbench.catalogue.schemas import Schemas, required_of, type_of
from toolbench.catalogue.text import plain
from toolbench.catalogue.urls import urlsplit_safe
from toolbench.catalogue.web import without_credentials

ORIGIN = "mcp"
SCHEME = "mcp+"
"""In front of an http(s) address: what lies there speaks MCP."""
_NAME_LIMIT = 200
_DEPTH = 4
_RESPONSE_DEPTH = 6
_RESPONSE_LIMIT = 20_000
_INPUT = ("inputSchema", "input_schema")
_OUTPUT = ("outputSchema", "output_schema")


def recognised(document: Any) -> bool:
    """True for `{"tools": […]}`, a JSON-RPC reply with that as its result, and a bare list of MCP tools."""
    if isinstance(document, list):
        return any(isinstance(t, dict) and any(key in t for key in _INPUT) for t in document)
    if not isinstance(document, dict):
        return False
    return isinstance(document.get("tools"), list) or isinstance(document.get("jsonrpc"), str)


def read(document: Any, locator: str, category: str | None) -> Reading:
    """The server of a document that `recognised` knows. A list without tools is one reject."""
    reading = Reading()
    outer = document if isinstance(document, dict) else {}
    folder = _category(outer, category)
    try:
        listed, place, cursor = _listed(document)
    except Broken as broken:
        reading.rejects.append(reject(broken, locator, "", folder, _outline(outer)))
        return reading
    address = _address(outer.get("address"))
    apis = []
    for index, tool in enumerate(listed):
        where = place + pointer(index)
        try:
            apis.append(_api(tool, address, where))
        except Broken as broken:
            reading.rejects.append(reject(broken, locator, where, folder, tool))
        except RecursionError:
            deep = Broken("too_deep", "", "is nested too deeply")
            reading.rejects.append(reject(deep, locator, where, folder, None))
    if cursor:
        more = Broken("incomplete_list", "", "names a further page, which is not in the document: list all pages")
        reading.rejects.append(
            reject(more, locator, place.removesuffix("tools") + "nextCursor", folder, _outline(outer))
        )
    if apis:
        reading.tools.append(_server(outer, locator, folder, address, tuple(apis)))
    return reading


def _listed(document: Any) -> tuple[list[Any], str, bool]:
    """The tools, the pointer of their list, and whether the list goes on elsewhere."""
    if isinstance(document, list):
        return document, "", False
    place, result = "", document
    if "tools" not in document:
        error = document.get("error")
        if isinstance(error, dict):
            said = plain(str(error.get("message", "")))[:200] or "no reason given"
            raise Broken("rpc_error", "/error", f"is an error and no list of tools: {said}")
        place, result = "/result", document.get("result")
    tools = result.get("tools") if isinstance(result, dict) else None
    if not isinstance(tools, list):
        raise Broken("wrong_type", f"{place}/tools", "must be a list of tools")
    if not tools:
        raise Broken("no_apis", f"{place}/tools", "is empty, so the server has nothing to call")
    return tools, f"{place}/tools", isinstance(result.get("nextCursor"), str) and result["nextCursor"] != ""


def _server(document: dict[str, Any], locator: str, folder: str, address: str, apis: tuple[ApiDraft, ...]) -> ToolDraft:
    about = _about(document)
    host = urlsplit_safe(address.removeprefix(SCHEME))[1]
    name = _text(document.get("server")) or _text(about.get("name")) or host or stem(locator)
    title = _text(document.get("title")) or _text(about.get("title")) or name
    described = [document.get("description"), about.get("description"), document.get("instructions")]
    return ToolDraft(
        name=name[:_NAME_LIMIT],
        title=plain(title) or name,
        # What a server offers says what it is, and tells it from namesakes, where it says nothing itself.
        description=next((plain(text) for text in map(_text, described) if text), "")
        or "Offers " + ", ".join(plain(api.name) for api in apis),
        category=folder,
        base_url=address,
        origin=ORIGIN,
        locator=locator,
        apis=apis,
    )


def _about(document: dict[str, Any]) -> dict[str, Any]:
    """What the server says of itself, where it said so with its list."""
    result = document.get("result")
    for holder in (document, result if isinstance(result, dict) else {}):
        for key in ("server", "serverInfo"):
            if isinstance(holder.get(key), dict):
                return dict(holder[key])
    return {}


def _category(document: dict[str, Any], given: str | None) -> str:
    """The document's own category, else the one given, else none: whoever knows all documents finds one."""
    own = document.get("category")
    return (safe_folder(own) if isinstance(own, str) else "") or safe_folder(given or "")


def _address(value: Any) -> str:
    """`mcp+http(s)://…` without credentials; empty for what is no address."""
    url = _text(value).removeprefix(SCHEME)
    return SCHEME + without_credentials(url) if urlsplit_safe(url)[1] else ""


def _api(tool: Any, address: str, place: str) -> ApiDraft:
    if not isinstance(tool, dict):
        raise Broken("wrong_type", "", "is no object")
    name = tool.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Broken("empty_name", "/name", "is missing or empty, so there is nothing to call it by")
    if len(name) > _NAME_LIMIT:
        raise Broken("long_name", "/name", f"has {len(name)} characters; a name has {_NAME_LIMIT} at most")
    return ApiDraft(
        name=name,
        description=_description(tool),
        method="POST",
        url=address,
        parameters=_parameters(tool),
        response_schema=_response_schema(tool),
        response_example=None,
        pointer=place,
    )


def _description(tool: dict[str, Any]) -> str:
    """The tool's description, else its title: the one for a model to read, the other for people."""
    annotations = tool.get("annotations")
    if annotations is not None and not isinstance(annotations, dict):
        raise Broken("wrong_type", "/annotations", "must be an object")
    if tool.get("description") is not None and not isinstance(tool["description"], str):
        raise Broken("wrong_type", "/description", "must be text")
    titles = [tool.get("title"), (annotations or {}).get("title")]
    return next((plain(text) for text in map(_text, (tool.get("description"), *titles)) if text), "")


def _parameters(tool: dict[str, Any]) -> tuple[ParameterDraft, ...]:
    """The properties of the input schema, required ones first."""
    key = next((k for k in _INPUT if k in tool), _INPUT[0])
    place = pointer(key)
    schema = tool.get(key)
    if not isinstance(schema, dict):
        raise Broken("wrong_type", place, "must be a JSON Schema of an object")
    schemas = Schemas(schema)
    if "$ref" in schema and not isinstance(schemas.follow(schema), dict):
        raise Broken("unresolved_reference", f"{place}/$ref", "leads to no schema")
    merged = schemas.merged(schema)
    if type_of(merged) not in ("object", ""):
        raise Broken("wrong_type", f"{place}/type", "must be object: arguments have names")
    properties, required = merged.get("properties"), merged.get("required")
    if properties is not None and not isinstance(properties, dict):
        raise Broken("wrong_type", f"{place}/properties", "must be an object of JSON Schemas")
    if required is not None and not isinstance(required, list):
        raise Broken("wrong_type", f"{place}/required", "must be a list of names")
    names = set(required_of(merged))
    drafts = [
        _parameter(schemas, name, part, name in names, place + pointer("properties", name))
        for name, part in (properties or {}).items()
    ]
    return tuple(sorted(drafts, key=lambda p: not p.required))


def _parameter(schemas: Schemas, name: str, part: Any, required: bool, place: str) -> ParameterDraft:
    if not name.strip():
        raise Broken("empty_name", place, "has no name")
    if not isinstance(part, dict | bool):
        raise Broken("wrong_type", place, "must be a JSON Schema")
    merged, inlined = schemas.merged(part), schemas.inline(part, _DEPTH)
    kind = type_of(merged) or "string"
    if kind == "array" and not inlined.get("items"):
        inlined["items"] = {"type": "string"}
    secret = is_credential(name)
    described = merged.get("description") or merged.get("title")
    return ParameterDraft(
        name=name,
        required=required,
        description=plain(described) if isinstance(described, str) else "",
        schema={"type": kind} | {k: v for k, v in inlined.items() if k != "type"},
        example=None if secret else _example(merged, kind, inlined.get("enum")),
        location="body",
        secret=secret,
    )


def _example(schema: dict[str, Any], kind: str, choices: Any) -> Any:
    """The first documented value that fits the type and, where there is one, the enum."""
    listed = schema.get("examples")
    for candidate in (schema.get("example"), *(listed if isinstance(listed, list) else []), schema.get("default")):
        value = typed(candidate, kind)
        if value is not None and (not choices or value in choices) and json_text(value, EXAMPLE_LIMIT):
            return value
    return None


def _response_schema(tool: dict[str, Any]) -> str | None:
    key = next((k for k in _OUTPUT if tool.get(k) is not None), "")
    if not key:
        return None
    if not isinstance(tool[key], dict):
        raise Broken("wrong_type", pointer(key), "must be a JSON Schema of an object")
    inlined = Schemas(tool[key]).inline(tool[key], _RESPONSE_DEPTH)
    return json_text(inlined, _RESPONSE_LIMIT) if inlined else None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _outline(document: dict[str, Any]) -> dict[str, Any]:
    return {key: document[key] for key in ("server", "serverInfo", "category", "error") if key in document}
