"""Writing instructions: API documents in, requests of a person out, each with the APIs it was written for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from toolbench.teacher.offline.parameters import Parameter, invent, parameter, pools
from toolbench.teacher.offline.phrases import request

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
    wishes: list[str] = []
    for api in apis:
        taken: dict[str, tuple[Any, ...]] = {}
        for draft in drafts:
            for name, value in draft.values.get(api.name, {}).items():
                taken[name] = (*taken.get(name, ()), value)
        chosen: dict[Parameter, Any] = {}
        for wanted in api.parameters:
            known = wanted.enum or wanted.documented
            if wanted.required or (known and not isinstance((*known,)[0], bool) and rng.random() < _OPTIONAL):
                series = wanted.kind == "numbers" and sum(other.kind == "numbers" for other in api.parameters) > 1
                # Two series must be of one length: the documented ones are.
                chosen[wanted] = (
                    wanted.documented[0]
                    if series and wanted.documented
                    else invent(wanted, rng, (*taken.get(wanted.name, ()), *chosen.values()))
                )
        chosen = _ordered(chosen)
        values[api.name] = {wanted.name: value for wanted, value in chosen.items()}
        wishes.append(request(api.description, api.name, chosen, rng))
    text = _composed(wishes, " ".join(api.topic for api in apis), rng)
    for api in apis:
        text = _without_name(text, api.name)
    return Draft(text, tuple(api.name for api in apis), values)


def _ordered(chosen: Mapping[Parameter, Any]) -> dict[Parameter, Any]:
    """The same values with dates in time order: a span has its start before its end."""
    dates = iter(sorted(value for wanted, value in chosen.items() if wanted.kind == "date" and isinstance(value, str)))
    return {w: next(dates) if w.kind == "date" and isinstance(value, str) else value for w, value in chosen.items()}


def _without_name(text: str, name: str) -> str:
    """A function's name that came in with its description becomes plain words; a name that is a word may stay."""
    if "_" not in name and not re.search(r"[a-z][A-Z]", name):
        return text
    plain = re.sub(r"_+", " ", name.rpartition("_for_")[0] or name).strip()
    return re.sub(re.escape(name), plain if plain != name else "that", text, flags=re.IGNORECASE)


def _scenes(topic: str) -> list[str]:
    """The opening sentences that suit a topic; the general ones where none is known."""
    scenes: Mapping[str, list[str]] = pools()["scenes"]
    fitting = [
        scene
        for pattern, group in scenes.items()
        if pattern and re.search(pattern, topic, re.IGNORECASE)
        for scene in group
    ]
    return fitting or scenes[""]


def _composed(wishes: Sequence[str], topic: str, rng: Random) -> str:
    """The wishes as one request: short and specific, or a longer scene with details and a closing word."""
    scenes = _scenes(topic)
    if rng.random() < _SHORT:
        opening = f"{rng.choice(scenes)} " if rng.random() < 0.45 else ""
        return opening + _asked(wishes, rng)
    opening = f"{rng.choice(scenes)} {rng.choice(pools()['details'])} "
    closing = f" {rng.choice(pools()['closings'])}" if rng.random() < 0.75 else ""
    return opening + _asked(wishes, rng) + closing


def _asked(wishes: Sequence[str], rng: Random) -> str:
    first, *more = wishes
    if not more and rng.random() < 0.3:
        return first[0].upper() + first[1:] + "."
    if len(more) == 1 and rng.random() < 0.5:
        return f"{rng.choice(('Could you', 'Can you', 'Would you'))} {first}, and {more[0]}?"
    sentences = [
        rng.choice(("Could you {}?", "Please {}.", "Can you {}?", "I need you to {}.", "I'd like you to {}.")).format(
            first
        )
    ]
    follow = rng.sample(
        (
            "Then {}.",
            "Also, please {}.",
            "After that, {}.",
            "Could you also {}?",
            "I'd also like you to {}.",
            "Next, {}.",
        ),
        min(len(more), 6),
    )
    last = "Finally, {}."
    for index, wish in enumerate(more):
        form = last if index == len(more) - 1 and len(more) > 1 and rng.random() < 0.6 else follow[index % len(follow)]
        sentences.append(form.format(wish))
    return " ".join(sentences)
