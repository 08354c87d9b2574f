"""Bodies of Postman requests → parameters: the properties of a JSON example, or the fields of a form."""

import re
from typing import Any

from toolbench.catalogue.decode import decode
from toolbench.catalogue.drafts import Broken, ParameterDraft, pointer
from toolbench.catalogue.parameters import EXAMPLE_LIMIT, is_credential
from toolbench.catalogue.postman_values import (
    Secrets,
    Variables,
    demanded,
    described,
    named,
    shape,
    text_shape,
    unfilled,
)

_FORMS = {"urlencoded": "form", "formdata": "multipart"}
_BARE = re.compile(r"([:\[,]\s*)\{\{[^{}]*\}\}")
_COMMENT = re.compile(r"^[ \t]*//.*$", re.MULTILINE)


def body_parameters(body: Any, variables: Variables, secrets: Secrets) -> list[ParameterDraft]:
    """The parameters of a request's `body`. Raises Broken for one that is neither JSON nor a form of texts."""
    if body is None or (isinstance(body, dict) and body.get("disabled") is True):
        return []
    if not isinstance(body, dict):
        raise Broken("wrong_type", "/request/body", "must be an object")
    mode = body.get("mode")
    if mode is None or mode == "none":
        return []
    if mode != "raw" and (not isinstance(mode, str) or mode not in _FORMS):
        raise Broken("unsupported_body", "/request/body", "is neither JSON nor a form")
    if body.get(mode) is None:
        return []
    if mode == "raw":
        return _raw(body, variables, secrets)
    return _form(body[mode], mode, variables, secrets)


def _raw(body: dict[str, Any], variables: Variables, secrets: Secrets) -> list[ParameterDraft]:
    text = body["raw"]
    if not isinstance(text, str):
        raise Broken("wrong_type", "/request/body/raw", "must be text")
    if not text.strip():
        return []
    value = _json(variables.fill(text), _says_json(body))
    if isinstance(value, dict) and value:
        return [_property(name, part, variables, secrets) for name, part in value.items() if name.strip()]
    # The empty name on the wire says that the value is the body and no property of it.
    return [_property("", value, variables, secrets, required=True)]


def _says_json(body: dict[str, Any]) -> bool:
    options = body.get("options")
    raw = options.get("raw") if isinstance(options, dict) else None
    return isinstance(raw, dict) and raw.get("language") == "json"


def _json(text: str, declared: bool) -> Any:
    """The value of a body; people write comments into them, and variables where JSON wants a value."""
    problem: Broken | None = None
    for attempt in (text, _BARE.sub(r"\1null", _COMMENT.sub("", text))):
        try:
            return decode(attempt.encode("utf-8", "replace"), "")
        except Broken as broken:
            problem = problem or broken
    if problem and (declared or problem.reason != "invalid_json"):
        raise Broken(problem.reason, "/request/body/raw", problem.why)
    raise Broken("unsupported_body", "/request/body/raw", "is text that is not JSON")


def _property(
    name: str, value: Any, variables: Variables, secrets: Secrets, *, required: bool = False
) -> ParameterDraft:
    secret = is_credential(name) or variables.secret(value)
    schema = {"type": "string"} | shape(value)
    if schema["type"] == "array" and not schema["items"]:
        schema["items"] = {"type": "string"}
    usable = not secret and value not in (None, "", {}, []) and not unfilled(value)
    example = secrets.clean(value, EXAMPLE_LIMIT) if usable else None
    return ParameterDraft(
        name=name,
        required=required,
        description="",
        schema=schema,
        example=example,
        location="body",
        secret=secret,
    )


def _form(listed: Any, mode: str, variables: Variables, secrets: Secrets) -> list[ParameterDraft]:
    if not isinstance(listed, list):
        raise Broken("wrong_type", pointer("request", "body", mode), "must be a list of fields")
    fields = [entry for entry in listed if named(entry)]
    texts = [entry for entry in fields if entry.get("type") != "file"]
    if fields and not texts:
        raise Broken("unsupported_body", pointer("request", "body", mode), "holds files only")
    return [_field(entry, mode, variables, secrets) for entry in texts]


def _field(entry: dict[str, Any], mode: str, variables: Variables, secrets: Secrets) -> ParameterDraft:
    name = variables.fill(named(entry))
    secret = is_credential(name) or variables.secret(entry.get("value"))
    schema, example = text_shape(entry.get("value"), variables)
    required, description = demanded(described(entry))
    return ParameterDraft(
        name=name,
        required=required,
        description=description,
        schema=schema,
        example=None if secret or example is None else secrets.clean(example, EXAMPLE_LIMIT),
        location=_FORMS[mode],
        secret=secret,
    )
