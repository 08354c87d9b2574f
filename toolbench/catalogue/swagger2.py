"""Swagger 2.0 documents, rewritten into the OpenAPI 3 shape that `openapi` reads."""

from typing import Any

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


def upgraded(document: dict[str, Any]) -> dict[str, Any]:
    """The document with servers, security schemes, bodies and responses where OpenAPI 3 has them.

    References stay as they are: they are followed by their path, and `definitions` keeps its place.
    """
    out = dict(document)
    listed = document.get("schemes")
    schemes = [s for s in listed if isinstance(s, str)] if isinstance(listed, list) else []
    scheme = "https" if "https" in schemes or not schemes else schemes[0]
    host, base = document.get("host"), document.get("basePath")
    prefix = f"{scheme}://{host}" if isinstance(host, str) and host else ""
    out["servers"] = [{"url": prefix + (base if isinstance(base, str) else "")}]
    out["components"] = {"securitySchemes": document.get("securityDefinitions")}
    return out


def operation_upgraded(
    operation: dict[str, Any], parameters: list[Any], consumes: Any
) -> tuple[dict[str, Any], list[Any]]:
    """The operation with `requestBody` and `content`, and those of its resolved `parameters` that are no body.

    `consumes` are the media types of the document; the operation's own win.
    """
    out = dict(operation)
    consumes = operation.get("consumes", consumes)
    media = [m for m in consumes if isinstance(m, str)] if isinstance(consumes, list) else []
    rest, fields, required = [], {}, []
    for parameter in parameters:
        place = parameter.get("in") if isinstance(parameter, dict) else None
        if place == "body":
            described = {"schema": parameter.get("schema")}
            out["requestBody"] = {
                "content": dict.fromkeys(media or [_JSON], described),
                "required": parameter.get("required") is True,
            }
        elif place == "formData" and isinstance(parameter.get("name"), str):
            # In a schema `required` is a list; as Swagger's flag it would be read as one.
            fields[parameter["name"]] = {k: v for k, v in parameter.items() if k not in ("in", "name", "required")}
            required += [parameter["name"]] if parameter.get("required") is True else []
        else:
            rest.append(parameter)
    if fields:
        schema = {"type": "object", "properties": fields, "required": required}
        out["requestBody"] = {"content": {_form(media, fields): {"schema": schema}}}
    responses = operation.get("responses")
    if isinstance(responses, dict):
        out["responses"] = {status: _response(r) for status, r in responses.items()}
    return out, rest


def _form(media: list[str], fields: dict[str, dict[str, Any]]) -> str:
    """Files need multipart; else it is what the operation says, and the plain form if it says both or nothing."""
    files = any(f.get("type") == "file" for f in fields.values())
    return _MULTIPART if files or (_MULTIPART in media and _FORM not in media) else _FORM


def _response(response: Any) -> Any:
    if not isinstance(response, dict) or ("schema" not in response and "examples" not in response):
        return response
    content: dict[str, Any] = {"schema": response.get("schema")}
    examples = response.get("examples")
    if isinstance(examples, dict) and _JSON in examples:
        content["example"] = examples[_JSON]
    return {"content": {_JSON: content}}
