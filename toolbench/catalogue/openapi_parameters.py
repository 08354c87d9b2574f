"""The parameters of one OpenAPI operation: declared ones, the parts of its body, and credentials."""

import re
from collections.abc import Iterable
from typing import Any

from toolbench.catalogue.drafts import Broken, ParameterDraft, json_text, pointer
from toolbench.catalogue.openapi_bodies import parts_of
from toolbench.catalogue.openapi_keywords import type_of
from toolbench.catalogue.openapi_references import Missing
from toolbench.catalogue.parameters import EXAMPLE_LIMIT, is_credential, typed
from toolbench.catalogue.schemas import Schemas
from toolbench.catalogue.text import plain

_DEPTH = 4
_LOCATIONS = frozenset(["query", "path", "header", "cookie"])
_SWAGGER_BODIES = frozenset(["body", "formData"])
_PLACEHOLDER = re.compile(r"\{([^{}/]+)\}")
_CALLERS = frozenset(["accept", "content-type"])


class Parameters:
    """Reads the parameters of one document's operations."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def listed(self, owner: dict[str, Any], missing: Missing) -> list[dict[str, Any]]:
        """The resolved parameter objects of an operation or a path item. Raises Broken for one that is none."""
        listed = owner.get("parameters")
        if listed is not None and not isinstance(listed, list):
            raise Broken("wrong_type", "/parameters", "must be a list")
        resolved = []
        for index, parameter in enumerate(listed or []):
            place = pointer("parameters", index)
            lost = self._schemas.lost(parameter)
            missing.tell(lost, place)
            if not lost:
                found = self._schemas.follow(parameter)
                _check(found, place)
                missing.tell(self._schemas.lost_part(_schema_of(found)), f"{place}/schema")
                resolved.append(found)
        return resolved

    def of(
        self,
        listed: list[dict[str, Any]],
        body: Any,
        path: str,
        credentials: Iterable[ParameterDraft],
        missing: Missing,
    ) -> tuple[ParameterDraft, ...]:
        """All parameters, required ones first.

        `listed` holds what the method of that name gave, the path item's before the operation's, which win over those.
        `body` is the operation's `requestBody`. Raises Broken for a body that cannot be described.
        """
        found: dict[tuple[str, str], ParameterDraft] = {}
        for parameter in listed:
            draft = self._declared(parameter)
            # The caller sets these by what it sends and can read; OpenAPI 3 says to ignore such parameters.
            if _key(draft) not in {("header", name) for name in _CALLERS}:
                found[_key(draft)] = draft
        for name in _PLACEHOLDER.findall(path):
            # Documents forget these; without a value there is no URL.
            found.setdefault(("path", name), self._draft(name, {"type": "string"}, "path", required=True))
        for part in parts_of(self._schemas, body, missing):
            missing.tell(self._schemas.lost_part(part.schema), part.place)
            draft = self._draft(part.name, part.schema, part.location, required=part.required, examples=[part.example])
            found[_key(draft)] = draft
        for draft in credentials:
            found[_key(draft)] = draft
        return tuple(sorted(found.values(), key=lambda p: not p.required))

    def _declared(self, parameter: dict[str, Any]) -> ParameterDraft:
        location = parameter["in"]
        return self._draft(
            parameter["name"],
            _schema_of(parameter),
            location,
            required=location == "path" or parameter.get("required") is True,
            description=parameter.get("description"),
            examples=[parameter.get("example"), *self._values(parameter.get("examples"))],
        )

    def _draft(
        self,
        name: str,
        schema: Any,
        location: str,
        *,
        required: bool,
        description: Any = None,
        examples: list[Any] | None = None,
    ) -> ParameterDraft:
        merged = self._schemas.merged(schema)
        inlined = self._schemas.inline(schema, _DEPTH)
        # A whole body of which nothing is said is an object, all else that is not said is text.
        kind = type_of(merged) or ("string" if name else "object")
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

    def _values(self, examples: Any) -> list[Any]:
        named = [self._schemas.follow(e) for e in examples.values()] if isinstance(examples, dict) else []
        return [e.get("value") for e in named if isinstance(e, dict)]


def _check(parameter: Any, place: str) -> None:
    """Raises Broken, naming the field at `place`, for a parameter without a name or a place to put it."""
    if not isinstance(parameter, dict):
        raise Broken("wrong_type", place, "is no object")
    name, location = parameter.get("name"), parameter.get("in")
    if not isinstance(name, str) or not name.strip():
        raise Broken("empty_name", f"{place}/name", "is missing or empty")
    if not isinstance(location, str) or location not in _LOCATIONS | _SWAGGER_BODIES:
        raise Broken("wrong_type", f"{place}/in", "must be query, path, header or cookie")


def _schema_of(parameter: dict[str, Any]) -> Any:
    """A parameter's schema: its own, that of its content, or, as Swagger 2 writes it, what stands beside its name."""
    if parameter.get("schema") is not None:
        return parameter["schema"]
    content = parameter.get("content")
    first = next(iter(content.values()), None) if isinstance(content, dict) else None
    return first.get("schema") if isinstance(first, dict) else {k: parameter[k] for k in parameter if k != "in"}


def _key(draft: ParameterDraft) -> tuple[str, str]:
    """What makes two parameters one: a header's name has no case."""
    return draft.location, draft.name.lower() if draft.location == "header" else draft.name


def _example(candidates: list[Any], kind: str, choices: Any) -> Any:
    """The first documented value that fits the type and, where there is one, the enum."""
    for candidate in candidates:
        value = typed(candidate, kind)
        if value is not None and (not choices or value in choices) and json_text(value, EXAMPLE_LIMIT):
            return value
    return None
