"""OpenAPI 3.0, 3.1 and Swagger 2.0 documents: a tool a document, an API an operation.

Tolerant per document and strict per operation: what is broken is rejected with its JSON pointer, the rest is read.
"""

import re
from typing import Any
from urllib.parse import urljoin

from toolbench.catalogue import swagger2
from toolbench.catalogue.categories import category_of
from toolbench.catalogue.drafts import ApiDraft, Broken, ParameterDraft, Reading, ToolDraft, json_text, pointer, reject
from toolbench.catalogue.names import standardise
from toolbench.catalogue.openapi_parameters import check, parameters_of
from toolbench.catalogue.schemas import Schemas
from toolbench.catalogue.text import plain
from toolbench.catalogue.urls import urlsplit_safe

ORIGIN = "openapi"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_RESPONSE_LIMIT = 20_000
_RESPONSE_DEPTH = 6
_NAME_LIMIT = 200
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_SUCCESS = re.compile(r"2\d\d|2XX|default", re.IGNORECASE)


def read(document: dict[str, Any], locator: str, category: str | None) -> Reading:
    """The document's tool. A document without a title or without operations is one reject."""
    reading = Reading()
    if "swagger" in document:
        document = swagger2.upgraded(document)
    info = document.get("info")
    info = info if isinstance(info, dict) else {}
    folder = category_of(info, category)
    try:
        operations = _operations(document)
        reader = _Operations(document, locator)
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
            reading.rejects.append(reject(broken, locator, place, folder, operation))
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
    """(path, method, path item, operation); the method is empty for a path item that is no object."""
    paths = document.get("paths")
    if paths is not None and not isinstance(paths, dict):
        raise Broken("wrong_type", "/paths", "must be an object of path items")
    found: list[tuple[str, str, Any, Any]] = []
    for path, listed in (paths or {}).items():
        if path.startswith("x-"):
            continue
        item = Schemas(document).follow(listed)
        if isinstance(item, dict):
            found.extend((path, method, item, item[method]) for method in _METHODS if method in item)
        else:
            found.append((path, "", item, None))
    if not found:
        raise Broken("no_apis", "/paths", "holds no operation, so the tool has nothing to call")
    return found


def _title(info: dict[str, Any], base_url: str) -> str:
    """The document's title; published documents leave it out, and then the host names the tool."""
    title = info.get("title")
    if isinstance(title, str) and title.strip():
        return title.strip()[:_NAME_LIMIT]
    host = urlsplit_safe(base_url)[1]
    if not host:
        raise Broken("empty_name", "/info/title", "is missing or empty and no server is named: nothing to call it by")
    return host[:_NAME_LIMIT]


def _collections(info: dict[str, Any]) -> tuple[str, ...]:
    listed = info.get("x-collections")
    names = [plain(c) for c in listed if isinstance(c, str)] if isinstance(listed, list) else []
    return tuple(sorted({n for n in names if n}))


class _Operations:
    """Reads operations of one document."""

    def __init__(self, document: dict[str, Any], locator: str) -> None:
        self._document = document
        self._schemas = Schemas(document)
        self._locator = locator
        self._swagger = "swagger" in document
        self.base_url = self._server(document)

    def read(self, path: str, method: str, item: Any, operation: Any, place: str) -> ApiDraft:
        if not method or not isinstance(operation, dict):
            raise Broken("wrong_type", "", "is no object")
        listed = self._inherited(item) + self._listed(operation)
        if self._swagger:
            operation, listed = swagger2.operation_upgraded(operation, listed)
        base = self._server(operation) or self._server(item) or self.base_url
        schema, example = self._response(operation)
        return ApiDraft(
            name=_name(operation, method, path),
            description=_description(operation),
            method=method.upper(),
            url=base.rstrip("/") + (path if path.startswith("/") else f"/{path}"),
            parameters=self._parameters(operation, listed, path),
            response_schema=schema,
            response_example=example,
            pointer=place,
        )

    def _listed(self, owner: dict[str, Any]) -> list[Any]:
        listed = owner.get("parameters")
        if listed is not None and not isinstance(listed, list):
            raise Broken("wrong_type", "/parameters", "must be a list")
        # What lies in another file is not there to be read; what that leaves out of a URL is found in the path.
        resolved = []
        for index, parameter in enumerate(listed or []):
            # What lies in another file is not there to be read; what that leaves out of a URL is found in the path.
            if not _elsewhere(parameter):
                resolved.append(self._schemas.follow(parameter))
                check(resolved[-1], pointer("parameters", index))
        return resolved

    def _inherited(self, item: dict[str, Any]) -> list[Any]:
        try:
            return self._listed(item)
        except Broken as broken:
            why = f"inherits {broken.pointer} of its path item, which {broken.why}"
            raise Broken(broken.reason, "", why) from None

    def _parameters(self, operation: dict[str, Any], listed: list[Any], path: str) -> tuple[ParameterDraft, ...]:
        security = operation.get("security", self._document.get("security"))
        components = self._document.get("components")
        schemes = self._schemas.follow(components.get("securitySchemes")) if isinstance(components, dict) else None
        return parameters_of(self._schemas, listed, operation.get("requestBody"), path, security, schemes)

    def _server(self, owner: dict[str, Any]) -> str:
        """The first server's URL with its variables' defaults, resolved against the document's URL."""
        servers = owner.get("servers")
        first = servers[0] if isinstance(servers, list) and servers else None
        if not isinstance(first, dict) or not isinstance(first.get("url"), str):
            return ""
        url, variables = first["url"], first.get("variables")
        url = _VARIABLE.sub(lambda m: _default_of(variables, m), url.strip())
        try:
            absolute = urljoin(self._locator, url) if self._locator.startswith(("http://", "https://")) else url
        except ValueError:
            return ""
        return absolute if absolute.startswith(("http://", "https://")) else ("" if url == "/" else url)

    def _response(self, operation: dict[str, Any]) -> tuple[str | None, str | None]:
        """Schema and example of the first documented JSON response of success, as JSON text."""
        responses = operation.get("responses")
        responses = responses if isinstance(responses, dict) else {}
        for status in sorted(responses):
            response = self._schemas.follow(responses[status]) if _SUCCESS.fullmatch(status) else None
            content = response.get("content") if isinstance(response, dict) else None
            for media, body in content.items() if isinstance(content, dict) else ():
                if "json" in media.lower() and isinstance(body, dict):
                    return self._documented(body)
        return None, None

    def _documented(self, body: dict[str, Any]) -> tuple[str | None, str | None]:
        schema = self._schemas.inline(body.get("schema"), _RESPONSE_DEPTH)
        example = body.get("example")
        examples = body.get("examples")
        if example is None and isinstance(examples, dict) and examples:
            first = self._schemas.follow(next(iter(examples.values())))
            example = first.get("value") if isinstance(first, dict) else None
        if example is None:
            example = self._schemas.merged(body.get("schema")).get("example")
        return (
            json_text(schema, _RESPONSE_LIMIT) if schema else None,
            json_text(example, _RESPONSE_LIMIT) if example not in (None, "", {}, []) else None,
        )


def _elsewhere(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("$ref"), str) and not node["$ref"].startswith("#")


def _default_of(variables: Any, match: re.Match[str]) -> str:
    variable = variables.get(match[1]) if isinstance(variables, dict) else None
    default = variable.get("default") if isinstance(variable, dict) else None
    return str(default) if isinstance(default, str | int) and default != "" else match[0]


def _name(operation: dict[str, Any], method: str, path: str) -> str:
    """The operation id with its words set apart (`getUserById` → `get_User_By_Id`), else `GET /users/{id}`."""
    operation_id = operation.get("operationId")
    if isinstance(operation_id, str) and plain(operation_id):
        return _WORD_START.sub("_", plain(operation_id))[:_NAME_LIMIT]
    return f"{method.upper()} {plain(path)}"[:_NAME_LIMIT]


def _description(operation: dict[str, Any]) -> str:
    summary, description = (
        plain(operation[key]) if isinstance(operation.get(key), str) else "" for key in ("summary", "description")
    )
    if not summary or description.lower().startswith(summary.lower().rstrip(".")):
        return description or summary
    if description and standardise(summary) == standardise(str(operation.get("operationId", ""))):
        return description  # a framework made the summary of the id: it says nothing that the name does not
    return f"{summary.rstrip('.')}. {description}".strip()
