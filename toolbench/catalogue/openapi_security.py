"""The credentials of an OpenAPI operation: parameters that no model sees and that settings fill at call time."""

from typing import Any

from toolbench.catalogue.drafts import ParameterDraft
from toolbench.catalogue.schemas import Schemas

_PLACES = frozenset(["query", "header", "cookie"])
_IN_AUTHORIZATION = frozenset(["oauth2", "openidconnect", "basic"])
_HTTP = frozenset(["basic", "bearer"])


def credentials_of(schemas: Schemas, security: Any, schemes: Any) -> list[ParameterDraft]:
    """What the first requirement that a request can meet asks for: all of its schemes.

    The requirements are alternatives. An empty one among them says that no credential is needed: those of the others
    are optional then. Keys go where they are declared to, everything else is `Authorization`.
    """
    asked = [r for r in security if isinstance(r, dict)] if isinstance(security, list) else []
    named = [{name: _scheme(schemas, schemes, name) for name in r} for r in asked if r]
    if not named:
        return []
    # Published documents forget to define their schemes; most of those are a token in `Authorization`.
    requirement = next((r for r in named if all(_place(s) for s in r.values())), named[0])
    places = dict.fromkeys(_place(s) or ("header", "Authorization") for s in requirement.values())
    return [
        ParameterDraft(
            name=name,
            required=all(asked),
            description="",
            schema={"type": "string"},
            location=location,
            secret=True,
        )
        for location, name in places
    ]


def _scheme(schemas: Schemas, schemes: Any, name: str) -> dict[str, Any]:
    scheme = schemas.follow(schemes.get(name)) if isinstance(schemes, dict) else None
    return scheme if isinstance(scheme, dict) else {}


def _place(scheme: dict[str, Any]) -> tuple[str, str] | None:
    """(location, name) of the value a scheme asks for; None if a parameter cannot say it (mutual TLS, digest)."""
    kind = str(scheme.get("type")).lower()
    if kind in _IN_AUTHORIZATION or (kind == "http" and str(scheme.get("scheme")).lower() in _HTTP):
        return "header", "Authorization"
    location, name = scheme.get("in"), scheme.get("name")
    if kind == "apikey" and isinstance(location, str) and location in _PLACES:
        return (location, name) if isinstance(name, str) and name.strip() else None
    return None
