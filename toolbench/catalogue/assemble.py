"""Drafts of all documents → records: ids, duplicates, function names, splits, digests, order.

Nothing here depends on the order in which documents were read.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from toolbench.catalogue.categories import chosen
from toolbench.catalogue.checking import Checker
from toolbench.catalogue.collections import collections_of
from toolbench.catalogue.drafts import ApiDraft, Broken, ParameterDraft, Reading, ToolDraft, reject
from toolbench.catalogue.functions import definition, tool_description
from toolbench.catalogue.names import distinct_ids, function_names, property_names, standardise
from toolbench.catalogue.splits import Holdout
from toolbench.digests import canonical, digest
from toolbench.records import Api, Parameter, Reject, Tool

# Made once: `json.dumps` with options makes an encoder a call.
_encode = json.JSONEncoder(ensure_ascii=False).encode
_encode_sorted = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a source holds, each list in the order of ids."""

    tools: list[Tool]
    apis: list[Api]
    rejects: list[Reject]
    taken_in: int
    """API documents (operations) looked at, and files that are none: always `len(apis) + len(rejects)`."""


@dataclass(frozen=True, slots=True)
class _Named:
    """An API on its way to a record."""

    api_id: str
    tool_id: str
    tool: ToolDraft
    api: ApiDraft


@dataclass(frozen=True, slots=True)
class _Defined:
    """An API with its function."""

    named: _Named
    shown: list[str]
    """The property names of its parameters."""
    function: str
    definition: str


def assemble(readings: Iterable[Reading], *, categories: Collection[str] | None, holdout: Holdout) -> Catalogue:
    """The catalogue of `categories`. Raises UsageError for a category that no document has.

    Ids and function names are decided over the whole source, so that choosing categories changes none of them.
    """
    tools: list[ToolDraft] = []
    rejects: list[Reject] = []
    for reading in readings:
        tools.extend(reading.tools)
        rejects.extend(reading.rejects)
    wanted = chosen(categories, {t.category for t in tools} | {r.category for r in rejects if r.category})
    named: list[_Named] = []
    for tool_id, namesakes in _with_ids(tools):
        kept, duplicates = _apis_of(tool_id, namesakes)
        named.extend(kept)
        rejects.extend(duplicates)
    named.sort(key=lambda n: n.api_id)
    functions = function_names([(n.api.name, n.tool.name) for n in named], [n.api_id for n in named])
    taken, invalid = _defined((n, f) for n, f in zip(named, functions, strict=True) if n.tool.category in wanted)
    rejects.extend(invalid)
    owners = _tool_records({d.named.tool_id: d.named.tool for d in reversed(taken)}, holdout)
    apis = [_api_record(d, owners[d.named.tool_id]) for d in taken]
    kept_rejects = _unique([r for r in rejects if not r.category or r.category in wanted])
    return Catalogue(list(owners.values()), apis, kept_rejects, len(apis) + len(kept_rejects))


def _with_ids(tools: list[ToolDraft]) -> Iterator[tuple[str, list[ToolDraft]]]:
    """(tool id, drafts of that tool): the same tool described alike in two documents is one tool."""
    by_folder: dict[str, dict[str, list[ToolDraft]]] = defaultdict(lambda: defaultdict(list))
    for tool in tools:
        by_folder[tool.category][_described(tool)].append(tool)
    for folder, by_description in by_folder.items():
        groups = [sorted(group, key=lambda t: t.locator) for group in by_description.values()]
        names = [group[0].name for group in groups]
        yield from zip(distinct_ids(folder, names, _tool_identities(groups)), groups, strict=True)


def _described(tool: ToolDraft) -> str:
    return canonical([tool.name, tool.title, tool.description, tool.collections, tool.base_url, tool.origin])


def _tool_identities(groups: list[list[ToolDraft]]) -> list[str]:
    """Name and address tell namesakes apart for as long as they can: a reworded description changes no id."""
    addresses = [canonical([standardise(g[0].name), g[0].name, g[0].base_url]) for g in groups]
    # The last two parts of the path: the same in a folder, in a tarball and at a URL.
    places = ["/".join(g[0].locator.split("/")[-2:]) for g in groups]
    return _told_apart(_told_apart(addresses, places), [_described(g[0]) for g in groups])


def _told_apart(identities: list[str], further: list[str]) -> list[str]:
    """Identities, with `further` ones added to those that are not unique."""
    shared = Counter(identities)
    return [i if shared[i] == 1 else f"{i}\0{more}" for i, more in zip(identities, further, strict=True)]


def _apis_of(tool_id: str, namesakes: list[ToolDraft]) -> tuple[list[_Named], list[Reject]]:
    """The APIs of one tool with ids, and those that stand there twice, word for word."""
    listed = [(tool, api) for tool in namesakes for api in tool.apis]
    first: dict[str, tuple[ToolDraft, ApiDraft]] = {}
    rejects = []
    namesakes_of = Counter(standardise(api.name) for _, api in listed)
    for tool, api in listed:
        # Only namesakes can be equal: describing all APIs of a crawl would take longer than reading them.
        content = api.pointer if namesakes_of[standardise(api.name)] == 1 else _content(api)
        key = f"{standardise(api.name)}\0{content}"
        if key in first:
            twin = first[key]
            broken = Broken("duplicate", "", f"is the same as {twin[0].locator}#{twin[1].pointer}, word for word")
            rejects.append(
                reject(broken, tool.locator, api.pointer, tool.category, {"tool": tool.name, "name": api.name})
            )
        else:
            first[key] = (tool, api)
    kept = list(first.values())
    identities = _told_apart([canonical([a.name, a.method, a.url]) for _, a in kept], list(first))
    ids = distinct_ids(tool_id, [a.name for _, a in kept], identities)
    return [_Named(i, tool_id, t, a) for i, (t, a) in zip(ids, kept, strict=True)], rejects


def _content(api: ApiDraft) -> str:
    return canonical(asdict(replace(api, pointer="")))


def _defined(named: Iterable[tuple[_Named, str]]) -> tuple[list[_Defined], list[Reject]]:
    """The APIs with their function definitions, and those whose definition no model could be offered."""
    checker = Checker()
    defined, rejects = [], []
    for one, function in named:
        tool, api = one.tool, one.api
        shown = property_names(
            [p.name or "body" for p in api.parameters], [f"{p.location}\0{p.name}" for p in api.parameters]
        )
        pairs = zip(shown, api.parameters, strict=True)
        described = definition(function, tool.name, api.name, api.description, pairs)
        if fault := checker.fault(described):
            rejects.append(reject(fault, tool.locator, api.pointer, tool.category, described))
        else:
            defined.append(_Defined(one, shown, function, _encode(described)))
    return defined, rejects


def _tool_records(drafts: dict[str, ToolDraft], holdout: Holdout) -> dict[str, Tool]:
    """Tool id → record, in the order of ids; tools that name no collections get those found over all of them."""
    found = collections_of({i: (t.category, t.title, t.description) for i, t in drafts.items() if not t.collections})
    return {tool_id: _tool_record(tool_id, drafts[tool_id], found, holdout) for tool_id in sorted(drafts)}


def _tool_record(tool_id: str, tool: ToolDraft, found: dict[str, list[str]], holdout: Holdout) -> Tool:
    description = tool_description(tool.description)
    own: list[Any] = [tool_id, tool.name, tool.title, description, tool.category, tool.base_url, tool.origin]
    own += [True] if tool.category_inferred else []
    return Tool(
        id=tool_id,
        name=tool.name,
        title=tool.title,
        description=description,
        category=tool.category,
        category_inferred=tool.category_inferred,
        collections=list(tool.collections) or found.get(tool_id, []),
        base_url=tool.base_url,
        origin=tool.origin,
        split=holdout.split_of(tool.category, tool_id),
        digest=digest(own),
    )


def _api_record(defined: _Defined, owner: Tool) -> Api:
    """The record. Its digest leaves the collections out: they depend on the other tools of the catalogue."""
    named, text = defined.named, defined.definition
    api = named.api
    parameters = [_parameter(p, s) for p, s in zip(api.parameters, defined.shown, strict=True)]
    fields = [
        [p.name, p.shown_as, p.required, p.type, p.description, p.default, p.location, p.secret] for p in parameters
    ]
    own: list[Any] = [named.api_id, owner.name, api.name, api.description, api.method, api.url, fields, text]
    own += [[api.deprecated, list(api.tags)]] if api.deprecated or api.tags else []
    return Api(
        id=named.api_id,
        tool_id=owner.id,
        tool=owner.name,
        name=api.name,
        category=owner.category,
        collections=owner.collections,
        description=api.description,
        method=api.method,
        url=api.url,
        parameters=parameters,
        function=defined.function,
        definition=text,
        response_schema=api.response_schema,
        response_example=api.response_example,
        deprecated=api.deprecated,
        tags=list(api.tags),
        split=owner.split,
        digest=digest([*own, api.response_schema, api.response_example]),
    )


def _parameter(draft: ParameterDraft, shown_as: str) -> Parameter:
    return Parameter(
        name=draft.name,
        shown_as=shown_as,
        type=draft.schema["type"],
        required=draft.required,
        description=draft.description,
        default=None if draft.example is None else _encode_sorted(draft.example),
        location=draft.location,
        secret=draft.secret,
    )


def _unique(rejects: list[Reject]) -> list[Reject]:
    """In the order of ids; rejects alike in everything (a file twice in a tarball) get ids of their own."""
    seen: Counter[str] = Counter()
    out = []
    for row in rejects:
        seen[row.id] += 1
        out.append(row if seen[row.id] == 1 else replace(row, id=digest([row.id, seen[row.id]])))
    return sorted(out, key=lambda r: r.id)
