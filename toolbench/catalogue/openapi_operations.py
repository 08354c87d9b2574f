"""One operation of an OpenAPI document as an API."""

import re
from typing import Any
from urllib.parse import urljoin

from toolbench.catalogue import swagger2
from toolbench.catalogue.drafts import ApiDraft, Broken
from toolbench.catalogue.names import standardise
from toolbench.catalogue.openapi_parameters import Parameters
from toolbench.catalogue.openapi_references import Missing, external
from toolbench.catalogue.openapi_responses import Responses
from toolbench.catalogue.openapi_security import credentials_of
from toolbench.catalogue.schemas import Schemas
from toolbench.catalogue.text import clip, plain

NAME_LIMIT = 200
_TAGS = 10
_TAG_LIMIT = 80
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


class Operations:
    """Reads operations of one document."""

    def __init__(self, document: dict[str, Any], locator: str) -> None:
        self._document = document
        self._schemas = Schemas(document)
        self._parameters = Parameters(self._schemas)
        self._responses = Responses(self._schemas)
        self._locator = locator
        self._swagger = "swagger" in document
        self.base_url = self._server(document)

    def read(self, path: str, method: str, item: Any, operation: Any, place: str) -> ApiDraft:
        """The API of `method` in the path item `item`; `place` is its JSON pointer. Raises Broken."""
        missing = Missing(method)
        item, operation = self._whole(item, operation, method, missing)
        listed = self._inherited(item, missing) + self._parameters.listed(operation, missing)
        if self._swagger:
            operation, listed = swagger2.operation_upgraded(operation, listed, self._document.get("consumes"))
        base = self._server(operation) or self._server(item) or self.base_url
        schema, example = self._responses.read(operation.get("responses"))
        parameters = self._parameters.of(
            listed,
            operation.get("requestBody"),
            path,
            credentials_of(self._schemas, *self._security(operation)),
            missing,
        )
        return ApiDraft(
            name=_name(operation, method, path),
            description=_with_note(_description(operation), missing.note),
            method=method.upper(),
            url=base.rstrip("/") + (path if path.startswith("/") else f"/{path}"),
            parameters=parameters,
            response_schema=schema,
            response_example=example,
            pointer=place,
            deprecated=operation.get("deprecated") is True,
            tags=_tags(operation),
        )

    def _whole(self, item: Any, operation: Any, method: str, missing: Missing) -> tuple[dict[str, Any], dict[str, Any]]:
        """Path item and operation; what is written beside a reference that is lost, where that can be left out."""
        lost = self._schemas.lost(item)
        if lost and not lost.startswith("#"):
            # Never tolerated: the other file may hold any method of this path, this one too.
            raise external(lost, "")
        missing.tell(lost, "")
        lost = self._schemas.lost(operation)
        missing.tell(lost, "")
        operation = operation if lost else self._schemas.follow(operation)
        if not method or not isinstance(item, dict) or not isinstance(operation, dict):
            raise Broken("wrong_type", "", "is no object")
        return item, operation

    def _inherited(self, item: dict[str, Any], missing: Missing) -> list[dict[str, Any]]:
        try:
            return self._parameters.listed(item, missing)
        except Broken as broken:
            why = f"inherits {broken.pointer} of its path item, which {broken.why}"
            raise Broken(broken.reason, "", why) from None

    def _security(self, operation: dict[str, Any]) -> tuple[Any, Any]:
        """(requirements, schemes)."""
        components = self._document.get("components")
        schemes = self._schemas.follow(components.get("securitySchemes")) if isinstance(components, dict) else None
        return operation.get("security", self._document.get("security")), schemes

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
        absolute = f"https:{absolute}" if absolute.startswith("//") else absolute
        return absolute if absolute.startswith(("http://", "https://")) else ("" if url == "/" else url)


def _default_of(variables: Any, match: re.Match[str]) -> str:
    """A server variable's default, else the first value it may have, else the variable as it stands."""
    variable = variables.get(match[1]) if isinstance(variables, dict) else None
    if not isinstance(variable, dict):
        return match[0]
    choices = variable.get("enum")
    candidates = [variable.get("default"), *(choices if isinstance(choices, list) else [])]
    return next((str(c) for c in candidates if isinstance(c, str | int) and c != ""), match[0])


def _name(operation: dict[str, Any], method: str, path: str) -> str:
    """The operation id with its words set apart (`getUserById` → `get_User_By_Id`), else `GET /users/{id}`."""
    operation_id = operation.get("operationId")
    if isinstance(operation_id, str) and plain(operation_id):
        return _WORD_START.sub("_", plain(operation_id))[:NAME_LIMIT]
    return f"{method.upper()} {plain(path)}"[:NAME_LIMIT]


def _description(operation: dict[str, Any]) -> str:
    summary, description = (
        plain(operation[key]) if isinstance(operation.get(key), str) else "" for key in ("summary", "description")
    )
    if not summary or description.lower().startswith(summary.lower().rstrip(".")):
        return description or summary
    if description and standardise(summary) == standardise(str(operation.get("operationId", ""))):
        return description  # a framework made the summary of the id: it says nothing that the name does not
    return f"{summary.rstrip('.')}. {description}".strip()


def _with_note(description: str, note: str) -> str:
    if not note or not description:
        return note or description
    return f"{description if description[-1] in '.!?:' else description + '.'} {note}"


def _tags(operation: dict[str, Any]) -> tuple[str, ...]:
    """The operation's tags, each once, in its order."""
    listed = operation.get("tags")
    cleaned = [clip(plain(t), _TAG_LIMIT) for t in listed if isinstance(t, str)] if isinstance(listed, list) else []
    return tuple(list(dict.fromkeys(t for t in cleaned if t))[:_TAGS])
