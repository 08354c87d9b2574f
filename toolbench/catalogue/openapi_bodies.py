"""The body of an OpenAPI operation as parameters: properties of JSON, or fields of a form."""

from dataclasses import dataclass
from typing import Any

from toolbench.catalogue.drafts import Broken, pointer
from toolbench.catalogue.openapi_keywords import required_of, type_of
from toolbench.catalogue.openapi_references import Missing
from toolbench.catalogue.schemas import Schemas

_ANY = frozenset(["*/*", "application/*"])
_FILES = ("application/octet-stream", "application/pdf", "image/", "audio/", "video/")


@dataclass(frozen=True, slots=True)
class Part:
    """One parameter that goes into a body; the empty name says that its value is the body and no property of it."""

    name: str
    schema: Any
    location: str
    required: bool
    example: Any
    place: str


def parts_of(schemas: Schemas, body: Any, missing: Missing) -> list[Part]:
    """The parts of a request body, `body` as the operation has it. JSON is preferred to forms, those to multipart.

    Raises Broken for a body that cannot be described or sent.
    """
    missing.tell(schemas.lost(body), "/requestBody")
    body = schemas.follow(body)
    if body is None:
        return []
    content = body.get("content") if isinstance(body, dict) else None
    if not isinstance(content, dict):
        raise Broken("wrong_type", "/requestBody/content", "must be an object of media types")
    media, location = _media(content)
    place = pointer("requestBody", "content", media)
    described = content[media] if isinstance(content[media], dict) else {}
    schema = described.get("schema")
    missing.tell(schemas.lost_part(schema), f"{place}/schema")
    required = body.get("required") is True
    merged = schemas.merged(schema)
    properties = merged.get("properties")
    if isinstance(properties, dict) and properties:
        parts = _properties(schemas, merged, location, _example(schemas, described), f"{place}/schema/properties")
        return _without_files(schemas, parts, required, missing) if location == "multipart" else parts
    if location == "body":
        return [Part("", schema, location, required, _example(schemas, described), place)] if schema or required else []
    if required:
        raise Broken("unsupported_body", place, "is a form of which no field is described")
    return []


def _media(content: dict[str, Any]) -> tuple[str, str]:
    """The media type to send and the location of its parts, as `records.Parameter` names them."""
    for location, fits in (
        ("body", lambda m: "json" in m or m in _ANY),
        ("form", lambda m: "x-www-form-urlencoded" in m),
        ("multipart", lambda m: m.startswith("multipart/")),
    ):
        media = next((m for m in content if fits(m.strip().lower())), None)
        if media is not None:
            return media, location
    offered = ", ".join(sorted(content)[:5])[:120] or "nothing"
    raise Broken("unsupported_body", "/requestBody/content", f"offers neither JSON nor a form: {offered}")


def _properties(schemas: Schemas, merged: dict[str, Any], location: str, example: Any, place: str) -> list[Part]:
    values = example if isinstance(example, dict) else {}
    required = set(required_of(merged))
    return [
        Part(name, schema, location, name in required, values.get(name), place + pointer(name))
        for name, schema in merged["properties"].items()
        if name.strip() and schemas.merged(schema).get("readOnly") is not True
    ]


def _without_files(schemas: Schemas, parts: list[Part], required: bool, missing: Missing) -> list[Part]:
    """The fields that are no files. Raises Broken if a file must be sent: a call's arguments are JSON."""
    texts = []
    for part in parts:
        if not _is_file(schemas, part.schema):
            texts.append(part)
        elif part.required:
            raise Broken("unsupported_body", part.place, "is a file, which cannot be sent")
        else:
            missing.leave_out(part.name)
    if required and not texts:
        # It has to be sent, so one of its files is needed, whatever its schema requires.
        raise Broken("unsupported_body", "/requestBody", "must be a form of files, which cannot be sent")
    return texts


def _is_file(schemas: Schemas, schema: Any) -> bool:
    merged = schemas.merged(schema)
    if type_of(merged) == "array":
        merged = schemas.merged(merged.get("items"))
    media = merged.get("contentMediaType")
    binary = merged.get("type") == "file" or merged.get("format") in ("binary", "byte")
    return binary or (isinstance(media, str) and media.lower().startswith(_FILES))


def _example(schemas: Schemas, described: dict[str, Any]) -> Any:
    """The example of a body: its own, else the first of its named ones."""
    examples = described.get("examples")
    if described.get("example") is not None or not isinstance(examples, dict) or not examples:
        return described.get("example")
    first = schemas.follow(next(iter(examples.values())))
    return first.get("value") if isinstance(first, dict) else None
