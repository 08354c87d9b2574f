"""What readers make of a document: tools and APIs before they have ids, and rejects.

A reader knows one format and nothing of other documents; `assemble` knows all drafts and no format.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from toolbench.digests import digest
from toolbench.records import Reject

STAGE = "catalogue"
_PAYLOAD_LIMIT = 4000
_USER = re.compile(r'//[^/@\s"]*@')
"""User and password in a URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterDraft:
    """A parameter under its name on the wire."""

    name: str
    required: bool
    description: str
    schema: dict[str, Any]
    """JSON Schema of its value; `type` is always there."""
    example: Any = None
    """A documented default or example that fits the type; None if there is none."""
    location: str
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDraft:
    """An API as its document describes it; the fields mean what they mean in `records.Api`."""

    name: str
    description: str
    method: str
    url: str
    parameters: tuple[ParameterDraft, ...]
    response_schema: str | None
    response_example: str | None
    pointer: str
    """JSON pointer into its document."""
    deprecated: bool = False
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDraft:
    """A tool as its document describes it; the fields mean what they mean in `records.Tool`."""

    name: str
    title: str
    description: str
    category: str
    """Empty if its document names none."""
    category_inferred: bool = False
    collections: tuple[str, ...] = ()
    base_url: str
    origin: str
    locator: str
    """The document: a path inside the source, or a URL."""
    apis: tuple[ApiDraft, ...]


@dataclass(slots=True)
class Reading:
    """What one document gave; every API of it is either in a tool or among the rejects."""

    tools: list[ToolDraft] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


class Broken(Exception):
    """A part of a document cannot be used. `pointer` is relative to the part that is being read.

    It never leaves the room: whoever reads the whole makes a Reject or a SourceError of it.
    """

    def __init__(self, reason: str, pointer: str, why: str) -> None:
        super().__init__(reason, pointer, why)
        self.reason, self.pointer, self.why = reason, pointer, why


def reject(broken: Broken, locator: str, pointer: str, category: str, payload: Any) -> Reject:
    """The row for a part of `locator` at `pointer` that was not taken; `payload` is the part itself."""
    place = pointer + broken.pointer
    where = f"{locator}#{place}" if place else locator
    text = _payload(payload)
    return Reject(
        id=digest([STAGE, where, broken.reason, text]),
        stage=STAGE,
        record_id=f"{locator}#{pointer}" if pointer else locator,
        reason=broken.reason,
        detail=f"{where} {broken.why}.",
        category=category,
        payload=text,
    )


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in parts)


def json_text(value: Any, limit: int) -> str | None:
    """`value` as JSON text of at most `limit` characters; None if it is longer: half a value would be a wrong one."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= limit else None


def _payload(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    except RecursionError:
        return json.dumps({"clipped": "nested too deeply to be stored"})
    text = _USER.sub("//", text)
    return text if len(text) <= _PAYLOAD_LIMIT else json.dumps({"clipped": text[:_PAYLOAD_LIMIT]}, ensure_ascii=False)
