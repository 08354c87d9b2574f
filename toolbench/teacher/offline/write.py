"""Writing instructions: API documents in, requests of a person out, each with the APIs it was written for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from toolbench.teacher.offline.asking import asked
from toolbench.teacher.offline.matching import matched
from toolbench.teacher.offline.parameters import Parameter, invent, parameter
from toolbench.teacher.offline.scenes import closing, detail, opening
from toolbench.teacher.offline.wishes import Wish, request

_SHORT = 0.7
"""The share of short instructions; the others come as a longer scene."""

_OPTIONAL = 0.2
"""How often an optional parameter is given a value too."""


@dataclass(frozen=True, slots=True)
class Document:
    """One API as the request documents it."""

    name: str
    tool: str
    topic: str
    description: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """One instruction; `values` are the arguments it names, per function."""

    instruction: str
    relevant: tuple[str, ...]
    values: Mapping[str, Mapping[str, Any]]


def documents(block: Mapping[str, Any]) -> list[Document]:
    """The `apis` of the request's JSON block; items that are no objects with a name are left out."""
    out: dict[str, Document] = {}
    for api in block.get("apis") or []:
        if not isinstance(api, dict) or not isinstance(api.get("name"), str) or not api["name"]:
            continue
        listed = api.get("parameters")
        parameters = tuple(
            parameter(str(item["name"]), item, bool(item.get("required")))
            for item in (listed if isinstance(listed, list) else [])
            if isinstance(item, dict) and item.get("name")
        )
        topic = f"{api.get('category') or ''} {api.get('tool') or ''}"
        out[api["name"]] = Document(
            api["name"], str(api.get("tool") or ""), topic, str(api.get("description") or ""), parameters
        )
    return list(out.values())


def instructions(block: Mapping[str, Any], rng: Random) -> list[Draft]:
    """`count` distinct instructions for the documents of `block`; none if it has no documents.

    APIs of two or more tools give instructions that each need at least two tools. The subsets of relevant APIs differ
    as long as there are enough of them; after that the values do.
    """
    apis, count = documents(block), block.get("count")
    count = min(max(count, 0), 200) if isinstance(count, int) else 10
    drafts: list[Draft] = []
    seen: set[str] = set()
    used: dict[str, int] = {api.name: 0 for api in apis}
    subsets: set[frozenset[str]] = set()
    for _ in range(count * 12 if apis else 0):
        if len(drafts) == count:
            break
        chosen = _chosen(apis, used, subsets, rng)
        draft = _drafted(chosen, drafts, rng)
        if draft.instruction in seen:
            continue
        seen.add(draft.instruction)
        subsets.add(frozenset(draft.relevant))
        for name in draft.relevant:
            used[name] += 1
        drafts.append(draft)
    return drafts


def _chosen(
    apis: Sequence[Document], used: Mapping[str, int], subsets: set[frozenset[str]], rng: Random
) -> list[Document]:
    """One to three APIs, or two to four of at least two tools: the least used, a new subset if one turns up soon."""
    tools = {api.tool for api in apis}
    subset: list[Document] = []
    for _ in range(8):
        size = rng.choice((1, 1, 1, 2, 2, 3)) if len(tools) < 2 else rng.choice((2, 2, 2, 3, 3, 4))
        order = sorted(apis, key=lambda api: used[api.name] + 1.5 * rng.random())
        subset = order[:size]
        if len(tools) > 1 and len({api.tool for api in subset}) < 2:
            other = next(api for api in order if api.tool != subset[0].tool)
            subset = [*subset[:-1], other]
        if frozenset(api.name for api in subset) not in subsets:
            break
    return subset


def _drafted(apis: Sequence[Document], drafts: Sequence[Draft], rng: Random) -> Draft:
    values: dict[str, dict[str, Any]] = {}
    wishes: list[Wish] = []
    for api in apis:
        taken: dict[str, tuple[Any, ...]] = {}
        for draft in drafts:
            for name, value in draft.values.get(api.name, {}).items():
                taken[name] = (*taken.get(name, ()), value)
        chosen: dict[Parameter, Any] = {}
        for wanted in api.parameters:
            known = wanted.enum or wanted.documented
            if wanted.required or (
                known and not isinstance((*known,)[0], bool) and wanted.kind != "base" and rng.random() < _OPTIONAL
            ):
                chosen[wanted] = invent(wanted, rng, (*taken.get(wanted.name, ()), *chosen.values()))
        chosen = matched(chosen, rng)
        values[api.name] = {wanted.name: value for wanted, value in chosen.items()}
        wishes.append(request(api.description, api.name, chosen, rng))
    text = _composed(wishes, " ".join(api.topic for api in apis), rng)
    for api in apis:
        text = _without_name(text, api.name)
    return Draft(text, tuple(api.name for api in apis), values)


def _without_name(text: str, name: str) -> str:
    """A function's name that came in with its description becomes plain words; a name that is a word may stay."""
    if "_" not in name and not re.search(r"[a-z][A-Z]", name):
        return text
    plain = re.sub(r"_+", " ", name.rpartition("_for_")[0] or name).strip()
    return re.sub(re.escape(name), plain if plain != name else "that", text, flags=re.IGNORECASE)


def _composed(wishes: Sequence[Wish], topic: str, rng: Random) -> str:
    """The wishes as one request: short and specific, or a longer scene with details and a closing word."""
    if rng.random() < _SHORT:
        lead = f"{opening(topic, rng)} " if rng.random() < 0.35 else ""
        return lead + asked(wishes, rng)
    lead = f"{opening(topic, rng)} {detail(rng)} "
    end = f" {closing(rng)}" if rng.random() < 0.6 else ""
    return lead + asked(wishes, rng) + end
