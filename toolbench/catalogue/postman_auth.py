"""`auth` of Postman collections, folders and requests: which credential is sent where. Its values are never read."""

import re
from typing import Any

from toolbench.catalogue.drafts import ParameterDraft
from toolbench.catalogue.postman_values import Variables, named

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def credentials(auth: Any, variables: Variables) -> list[ParameterDraft]:
    """The secret parameter of an `auth`, the request's own or an inherited one; empty for `noauth` and for none.

    A key goes where it says, an OAuth 2 token into the query if it says so, everything else into `Authorization`.
    """
    kind = auth.get("type") if isinstance(auth, dict) else None
    if not isinstance(kind, str) or kind == "noauth":
        return []
    fields = _fields(auth.get(kind))
    name, location = "Authorization", "header"
    if kind == "apikey":
        wire = variables.fill(fields.get("key", "")).strip()
        location = "query" if fields.get("in") == "query" else "header"
        if wire and "{{" not in wire and (location == "query" or _HEADER_NAME.fullmatch(wire)):
            name = wire
    elif kind == "oauth2" and fields.get("addTokenTo") == "queryParams":
        name, location = "access_token", "query"
    return [
        ParameterDraft(
            name=name, required=True, description="", schema={"type": "string"}, location=location, secret=True
        )
    ]


def _fields(listed: Any) -> dict[str, str]:
    """The fields of one kind of auth: a list of key and value in 2.1, an object in 2.0."""
    if isinstance(listed, list):
        listed = {named(entry): entry.get("value") for entry in listed if isinstance(entry, dict)}
    pairs = listed.items() if isinstance(listed, dict) else ()
    return {key: value for key, value in pairs if isinstance(value, str)}
