"""ToolBench's instruction files: their entries carry the API documents they were written for."""

import json
from collections.abc import Iterable
from typing import Any

from toolbench.catalogue.assemble import Catalogue, assemble
from toolbench.catalogue.drafts import Broken, Reading, ToolDraft, pointer, reject
from toolbench.catalogue.names import category_folder, plain_api_id
from toolbench.catalogue.splits import Holdout
from toolbench.catalogue.toolenv import ORIGIN, read_api
from toolbench.records import Api

_RENAMED = {"api_name": "name", "api_description": "description"}


def apis_of_instructions(entries: Iterable[Any], *, holdout: Holdout | None = None) -> Catalogue:
    """The APIs in the `api_list`s of ToolBench instructions, with their tools.

    An API document that stands in several instructions counts once. Nothing is held out unless `holdout` says so.
    """
    return assemble([read(list(entries), "api_list")], categories=None, holdout=holdout or Holdout())


def read(entries: list[Any], locator: str) -> Reading:
    """Tools with the APIs that the entries offer, in the order in which they first stand there."""
    reading = Reading()
    seen: set[str] = set()
    tools: dict[tuple[str, str], list[Any]] = {}
    for number, entry in enumerate(entries):
        offered = entry.get("api_list") if isinstance(entry, dict) else None
        if not isinstance(offered, list):
            broken = Broken("wrong_type", "", "must be an instruction with an api_list")
            reading.rejects.append(reject(broken, locator, pointer(number), "", entry))
            continue
        for index, document in enumerate(offered):
            text = _canonical(document)
            if text in seen:
                continue
            seen.add(text)
            place = pointer(number, "api_list", index)
            try:
                category, tool = _owner(document)
                renamed = {_RENAMED.get(k, k): v for k, v in document.items()}
                tools.setdefault((category, tool), []).append(read_api(renamed, "", place))
            except Broken as broken:
                reading.rejects.append(reject(broken, locator, place, "", document))
    for (category, tool), apis in tools.items():
        draft = ToolDraft(
            name=tool,
            title=tool,
            description="",
            category=category,
            base_url="",
            origin=ORIGIN,
            locator=locator,
            apis=tuple(apis),
        )
        reading.tools.append(draft)
    return reading


class Lookup:
    """Finds the API that an instruction's `(category, tool, API)` names mean, as they match after standardising."""

    def __init__(self, apis: Iterable[Api]) -> None:
        self._namesakes: dict[str, list[Api]] = {}
        for api in sorted(apis, key=lambda a: a.id):
            self._namesakes.setdefault(plain_api_id(api.category, api.tool, api.name), []).append(api)

    def find(self, category: str, tool: str, api: str) -> Api | None:
        """The API, or None. Of namesakes the one spelled exactly like it; else the first by id."""
        namesakes = self._namesakes.get(plain_api_id(category, tool, api), [])
        exact = [a for a in namesakes if (a.tool, a.name) == (tool, api)]
        return next(iter(exact or namesakes), None)


def _owner(document: Any) -> tuple[str, str]:
    if not isinstance(document, dict):
        raise Broken("wrong_type", "", "is no object")
    category, tool = document.get("category_name"), document.get("tool_name")
    for field, value in (("category_name", category), ("tool_name", tool)):
        if not isinstance(value, str) or not value.strip():
            raise Broken("empty_name", f"/{field}", "is missing or empty")
    return category_folder(str(category)), str(tool)


def _canonical(document: Any) -> str:
    try:
        return json.dumps(document, sort_keys=True, default=repr)
    except (RecursionError, TypeError, ValueError):
        return repr(type(document)) + str(id(document))
