"""The parameters of one OpenAPI operation: declared ones, the body's properties, and credentials."""

import re
from typing import Any

from toolbench.catalogue.drafts import Broken, ParameterDraft, json_text
from toolbench.catalogue.parameters import EXAMPLE_LIMIT, is_credential, typed
from toolbench.catalogue.schemas import Schemas, required_of, type_of
from toolbench.catalogue.text import plain

_DEPTH = 4
_LOCATIONS = frozenset(["query", "path", "header", "cookie"])
_SWAGGER_BODIES = frozenset(["body", "formData"])
_PLACEHOLDER = re.compile(r"\{([^{}/]+)\}")


def parameters_of(
    schemas: Schemas, listed: list[Any], body: Any, path: str, security: Any, schemes: Any
) -> tuple[ParameterDraft, ...]:
    """All parameters, required ones first.

    `listed` holds resolved parameter objects that passed `check`, the path item's before the operation's, which win
    over those. A JSON or form body gives one parameter for each property of its schema; a body that is no object is one
    parameter `body`.

    Raises Broken for a body that cannot be described.
    """
    found: dict[tuple[str, str], ParameterDraft] = {}
    for parameter in listed:
        draft = _declared(schemas, parameter)
        found[draft.location, draft.name] = draft
    for name in _PLACEHOLDER.findall(path):
        # Documents forget these; without a value there is no URL.
        found.setdefault(("path", name), _draft(schemas, name, {"type": "string"}, "path", required=True))
    for draft in _body(schemas, body):
        found[draft.location, draft.name] = draft
    for draft in _credentials(schemas, security, schemes):
        found[draft.location, draft.name] = draft
    return tuple(sorted(found.values(), key=lambda p: not p.required))


def check(parameter: Any, place: str) -> None:
    """Raises Broken, naming the field at `place`, for a parameter without a name or a place to put it."""
    if not isinstance(parameter, dict):
        raise Broken("unresolved_reference", place, "leads to no parameter")
    name, location = parameter.get("name"), parameter.get("in")
    if not isinstance(name, str) or not name.strip():
        raise Broken("empty_name", f"{place}/name", "is missing or empty")
    if not isinstance(location, str) or location not in _LOCATIONS | _SWAGGER_BODIES:
        raise Broken("wrong_type", f"{place}/in", "must be query, path, header or cookie")


def _declared(schemas: Schemas, parameter: dict[str, Any]) -> ParameterDraft:
    name, location = parameter["name"], parameter["in"]
    location = "body" if location in _SWAGGER_BODIES else location
    schema = parameter.get("schema")
    if schema is None:
        content = parameter.get("content")
        first = next(iter(content.values()), None) if isinstance(content, dict) else None
        # Swagger 2 writes a parameter's type beside its name.
        schema = first.get("schema") if isinstance(first, dict) else {k: parameter[k] for k in parameter if k != "in"}
    return _draft(
        schemas,
        name,
        schema,
        location,
        required=location == "path" or parameter.get("required") is True,
        description=parameter.get("description"),
        examples=[parameter.get("example"), *_example_values(schemas, parameter.get("examples"))],
    )


def _draft(
    schemas: Schemas,
    name: str,
    schema: Any,
    location: str,
    *,
    required: bool,
    description: Any = None,
    examples: list[Any] | None = None,
) -> ParameterDraft:
    merged = schemas.merged(schema)
    inlined = schemas.inline(schema, _DEPTH)
    kind = type_of(merged) or "string"
    if kind == "array" and not inlined.get("items"):
        inlined["items"] = {"type": "string"}
    own = merged.get("examples")
    candidates = [
        *(examples or []),
        merged.get("example"),
        *(own if isinstance(own, list) else []),
        merged.get("default"),
    ]
    described = description if isinstance(description, str) and description.strip() else merged.get("description")
    return ParameterDraft(
        name=name,
        required=required,
        description=plain(described) if isinstance(described, str) else "",
        schema={"type": kind} | {k: v for k, v in inlined.items() if k != "type"},
        example=_example(candidates, kind, inlined.get("enum")),
        location=location,
        secret=is_credential(name),
    )


def _example(candidates: list[Any], kind: str, choices: Any) -> Any:
    """The first documented value that fits the type and, where there is one, the enum."""
    for candidate in candidates:
        value = typed(candidate, kind)
        if value is not None and (not choices or value in choices) and json_text(value, EXAMPLE_LIMIT):
            return value
    return None


def _example_values(schemas: Schemas, examples: Any) -> list[Any]:
    named = [schemas.follow(e) for e in examples.values()] if isinstance(examples, dict) else []
    return [e.get("value") for e in named if isinstance(e, dict)]


def _body(schemas: Schemas, body: Any) -> list[ParameterDraft]:
    body = schemas.follow(body)
    if body is None:
        return []
    content = body.get("content") if isinstance(body, dict) else None
    if not isinstance(content, dict):
        raise Broken("wrong_type", "/requestBody/content", "must be an object of media types")
    media = next((m for m in content if "json" in m.lower()), None) or next((m for m in content if "form" in m), None)
    if media is None:
        raise Broken("unsupported_body", "/requestBody/content", "offers neither JSON nor a form")
    described = content[media]
    schema = described.get("schema") if isinstance(described, dict) else None
    merged = schemas.merged(schema)
    properties = merged.get("properties")
    if isinstance(properties, dict) and properties:
        required = set(required_of(merged))
        example = described.get("example") if isinstance(described, dict) else None
        values = example if isinstance(example, dict) else {}
        return [
            _draft(schemas, name, part, "body", required=name in required, examples=[values.get(name)])
            for name, part in properties.items()
            if name.strip() and schemas.merged(part).get("readOnly") is not True
        ]
    # The empty name on the wire says that the value is the body and no property of it.
    examples = [described.get("example")] if isinstance(described, dict) else None
    whole = _draft(schemas, "", schema, "body", required=body.get("required") is True, examples=examples)
    return [whole] if merged else []


def _credentials(schemas: Schemas, security: Any, schemes: Any) -> list[ParameterDraft]:
    """What the first security requirement asks for: a key by its name and place, everything else as `Authorization`."""
    requirement = security[0] if isinstance(security, list) and security else None
    out = []
    for name in requirement if isinstance(requirement, dict) else ():
        scheme = schemas.follow(schemes.get(name)) if isinstance(schemes, dict) else None
        scheme = scheme if isinstance(scheme, dict) else {}
        wire, location = scheme.get("name"), scheme.get("in")
        if not (isinstance(wire, str) and wire.strip() and isinstance(location, str) and location in _LOCATIONS):
            wire, location = "Authorization", "header"
        out.append(
            ParameterDraft(
                name=wire, required=True, description="", schema={"type": "string"}, location=location, secret=True
            )
        )
    return out
